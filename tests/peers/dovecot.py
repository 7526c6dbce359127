"""A Dovecot that takes mail over LMTP and keeps it in Maildirs, one an address."""

from .room import Room

CONFIGURATION = """\
protocols = lmtp
log_path = /var/log/dovecot
ssl = no
base_dir = /run/dovecot
state_dir = /run/dovecot
default_login_user = nobody
default_internal_user = daemon
default_internal_group = daemon
mail_location = maildir:/var/mail/%u
mail_uid = mail
mail_gid = mail
first_valid_uid = 8
mail_save_crlf = yes
hostname = dovecot.test
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home=/var/mail/%u
}}
service lmtp {{
  user = root
  inet_listener lmtp {{
    address = {host}
    port = {port}
  }}
}}
service stats {{
  chroot =
}}
"""


class Dovecot(Room):
    name = "dovecot"

    def furnish(self):
        self.write("etc/dovecot/dovecot.conf", CONFIGURATION.format(host=self.host, port=self.port))
        (self.root / "var/mail").chmod(0o777)

    def command(self):
        return ["/usr/sbin/dovecot", "-F"]

    def mail(self, address):
        """The stored octets of all messages for an address, oldest first."""
        paths = [path for name in ("new", "cur") for path in (self.root / "var/mail" / address / name).glob("*")]
        return [path.read_bytes() for path in sorted(paths, key=lambda path: path.name)]
