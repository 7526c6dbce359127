"""An Exim that passes everything on to one host."""

from .room import Room

CONFIGURATION = """\
primary_hostname = exim.test
daemon_smtp_ports = {port}
local_interfaces = {host}
exim_user = mail
exim_group = mail
log_file_path = /var/log/exim-%s
tls_advertise_hosts =
chunking_advertise_hosts = *
dsn_advertise_hosts = *
pipelining_advertise_hosts = *
accept_8bitmime = true
smtputf8_advertise_hosts = *
acl_smtp_rcpt = accept
acl_smtp_data = accept
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
queue_only = false
never_users =
keep_environment =
begin routers
all:
  driver = manualroute
  route_list = * {next_host}
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {next_port}
  interface = {host}
  hosts_try_fastopen =
begin retry
* * F,1h,1s
"""


class Exim(Room):
    name, users = "exim", ("Debian-exim:101",)

    def __init__(self, next_hop, **options):
        self.next_hop = next_hop  # (host, port)
        super().__init__(**options)

    def furnish(self):
        host, port = self.next_hop
        self.write(
            "etc/exim4/exim4.conf",
            CONFIGURATION.format(host=self.host, port=self.port, next_host=host, next_port=port),
        )
        for name in ("var/spool/exim4", "var/log"):
            (self.root / name).mkdir(exist_ok=True)
            (self.root / name).chmod(0o777)

    def command(self):
        return ["/usr/sbin/exim4", "-bdf", "-q1m"]
