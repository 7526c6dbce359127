"""What the server says to one MAIL or RCPT; the session must be in step afterwards (G5)."""


def mail_answer(server, argument, wanted):
    with server.smtp() as c:
        c.hello()
        reply = c.cmd(b"MAIL FROM:" + argument, wanted)
        c.cmd("NOOP", 250)
        return reply


def rcpt_answer(server, argument, wanted):
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        reply = c.cmd(b"RCPT TO:" + (argument if isinstance(argument, bytes) else argument.encode()), wanted)
        c.cmd("NOOP", 250)
        return reply
