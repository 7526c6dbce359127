"""What the black-box tests share: the server under test, a raw SMTP client, the ledger's checker."""

import time


def poll(condition, timeout, what, interval=0.01):
    """The first true value of condition(); fails after the deadline. The only waiting that tests do."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(interval)
