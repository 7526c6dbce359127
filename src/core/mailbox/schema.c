#include "core/mailbox/schema.h"

/* messages is the narrowest table: what STORE and FETCH FLAGS touch of a large mailbox. What a
 * message is lies in meta, its octets in bodies (content NULL: in the file ID.d/<body>); a copy
 * has a meta of its own and shares the body. keywords is a bit set by number. Times are
 * milliseconds. uid_reserved and modseq_reserved are on the disk before a number below them is
 * shown. email_id is the spool's id. A body's number is never used again: its file may outlive it.
 * delivered makes delivery idempotent. expunged answers QRESYNC (RFC 7162). */
static const char tables[] =
    "CREATE TABLE numbers (name TEXT PRIMARY KEY, value BIGINT NOT NULL);"
    "CREATE TABLE mailboxes ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, mailbox_id TEXT NOT NULL UNIQUE,"
    "  name TEXT NOT NULL UNIQUE, special TEXT, subscribed INTEGER NOT NULL,"
    "  uid_validity BIGINT NOT NULL, uid_next BIGINT NOT NULL, uid_reserved BIGINT NOT NULL,"
    "  modseq BIGINT NOT NULL, modseq_reserved BIGINT NOT NULL,"
    "  messages BIGINT NOT NULL, unseen BIGINT NOT NULL, octets BIGINT NOT NULL,"
    "  created BIGINT NOT NULL);"
    "CREATE TABLE messages ("
    "  mailbox BIGINT NOT NULL, uid BIGINT NOT NULL, modseq BIGINT NOT NULL,"
    "  flags INTEGER NOT NULL, keywords BLOB, meta BIGINT NOT NULL,"
    "  PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;"
    "CREATE TABLE meta ("
    "  id INTEGER PRIMARY KEY, body BIGINT NOT NULL, email_id BIGINT NOT NULL, thread_id BIGINT,"
    "  received BIGINT NOT NULL, saved BIGINT NOT NULL, size BIGINT NOT NULL,"
    "  prefix BLOB NOT NULL, cuts BLOB, digest BLOB);"
    "CREATE INDEX meta_body ON meta (body);"
    "CREATE TABLE bodies ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, size BIGINT NOT NULL, content BLOB);"
    "CREATE TABLE expunged ("
    "  mailbox BIGINT NOT NULL, modseq BIGINT NOT NULL, uid BIGINT NOT NULL,"
    "  PRIMARY KEY (mailbox, modseq, uid)) WITHOUT ROWID;"
    "CREATE TABLE keywords ("
    "  mailbox BIGINT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,"
    "  PRIMARY KEY (mailbox, number), UNIQUE (mailbox, name)) WITHOUT ROWID;"
    "CREATE TABLE delivered ("
    "  message BIGINT NOT NULL, rcpt BIGINT NOT NULL, at BIGINT NOT NULL, uid BIGINT NOT NULL,"
    "  PRIMARY KEY (message, rcpt)) WITHOUT ROWID;";

/* Checkpoints are the background's (store.c), syncs of commits the group's (sync.c). FULL all the
 * same: so a commit fills its last sector, which the next one then leaves alone. */
const struct sql_format mailbox_format = {
    .application = 0x7664726d, /* "vdrm" */
    .version = 1,
    .pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA checkpoint_fullfsync=ON;"
               "PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=OFF; PRAGMA cache_size=-512;",
    .schema = tables,
    .grouped = true,
};

#define ROW                                                                                        \
    "SELECT m.mailbox, m.uid, b.name, t.email_id, t.received, t.saved, t.size, m.modseq, m.flags," \
    " m.keywords, t.digest FROM messages m JOIN meta t ON t.id = m.meta"                           \
    " JOIN mailboxes b ON b.id = m.mailbox "

const char *const mailbox_statements[BOX_STATEMENTS] = {
    [BOX_VALUE_GET] = "SELECT value FROM numbers WHERE name = ?1",
    [BOX_VALUE_SET] = "INSERT INTO numbers (name, value) VALUES (?1, ?2)"
                      " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    [BOX_CREATE] = "INSERT INTO mailboxes (mailbox_id, name, special, subscribed, uid_validity,"
                   " uid_next, uid_reserved, modseq, modseq_reserved, messages, unseen, octets,"
                   " created) VALUES (?1, ?2, ?3, 1, ?4, 1, 1, 1, 1, 0, 0, 0, ?5)",
    [BOX_SKIP_RESERVED] = "UPDATE mailboxes SET uid_next = uid_reserved, modseq = modseq_reserved"
                          " WHERE uid_next < uid_reserved OR modseq < modseq_reserved",
    [BOX_GIVE_BACK] = "UPDATE mailboxes SET uid_reserved = uid_next, modseq_reserved = modseq"
                      " WHERE uid_next < uid_reserved OR modseq < modseq_reserved",
    [BOX_FIND] = "SELECT id, uid_next, uid_reserved, modseq, modseq_reserved FROM mailboxes"
                 " WHERE name = ?1",
    [BOX_ADVANCE] = "UPDATE mailboxes SET uid_next = ?2, uid_reserved = ?3, modseq = ?4,"
                    " modseq_reserved = ?5, messages = messages + ?6, unseen = unseen + ?7,"
                    " octets = octets + ?8 WHERE id = ?1",
    [BOX_ALL] = "SELECT id, name, mailbox_id, special, uid_validity, uid_next, modseq, messages,"
                " unseen, octets, subscribed FROM mailboxes ORDER BY name <> 'INBOX', name",
    [BOX_COUNTS] = "SELECT sum(messages), sum(unseen), sum(octets) FROM mailboxes",
    [BOX_DELIVERED_PUT] = "INSERT INTO delivered (message, rcpt, at, uid) VALUES (?1, ?2, ?3, ?4)"
                          " ON CONFLICT DO NOTHING",
    [BOX_DELIVERED_GET] = "SELECT uid FROM delivered WHERE message = ?1 AND rcpt = ?2",
    [BOX_DELIVERED_PRUNE] = "DELETE FROM delivered WHERE at < (SELECT max(at) FROM delivered) - ?1",
    [BOX_BODY_PUT] = "INSERT INTO bodies (size, content) VALUES (?1, ?2)",
    [BOX_META_PUT] = "INSERT INTO meta (body, email_id, received, saved, size, prefix, cuts,"
                     " digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [BOX_MESSAGE_PUT] = "INSERT INTO messages (mailbox, uid, modseq, flags, meta)"
                        " VALUES (?1, ?2, ?3, 0, ?4)",
    [BOX_LIST] = ROW "WHERE m.mailbox = ?1 AND m.uid > ?2 ORDER BY m.mailbox, m.uid LIMIT ?3",
    [BOX_LIST_ALL] = ROW "WHERE (m.mailbox, m.uid) > (?1, ?2) ORDER BY m.mailbox, m.uid LIMIT ?3",
    [BOX_ONE] = ROW "WHERE m.mailbox = ?1 AND m.uid = ?2",
    [BOX_NEWEST] = "SELECT max(uid) FROM messages WHERE mailbox = ?1",
    [BOX_PLACE] = "SELECT t.prefix, t.cuts, t.body, y.size, y.content IS NULL, t.size"
                  " FROM messages m JOIN meta t ON t.id = m.meta JOIN bodies y ON y.id = t.body"
                  " WHERE m.mailbox = ?1 AND m.uid = ?2",
    [BOX_KEYWORDS] = "SELECT number, name FROM keywords WHERE mailbox = ?1 ORDER BY number",
};
