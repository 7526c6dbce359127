"""An OpenSMTPD that passes everything on to one host."""

from .room import Room

CONFIGURATION = """\
smtp max-message-size 52428800
listen on {host} port {port} hostname opensmtpd.test
action "on" relay host smtp://{next_host}:{next_port} helo opensmtpd.test
match from any for any action "on"
"""


class OpenSmtpd(Room):
    name, users = "opensmtpd", ("opensmtpd:102", "opensmtpq:103")
    directories = (*Room.directories, "var/lib/opensmtpd/empty", "var/spool/smtpd")

    def __init__(self, next_hop, **options):
        self.next_hop = next_hop  # (host, port)
        super().__init__(**options)

    def furnish(self):
        host, port = self.next_hop
        self.write(
            "etc/smtpd.conf",
            CONFIGURATION.format(host=self.host, port=self.port, next_host=host, next_port=port),
        )
        (self.root / "var/spool/smtpd").chmod(0o711)

    def command(self):
        return ["/usr/sbin/smtpd", "-dv"]
