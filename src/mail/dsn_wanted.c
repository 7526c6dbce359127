#include "mail/dsn.h"

/* RFC 3461 4.1, 5.2.1 to 5.2.7, 6.2 */
bool dsn_wanted(
    uint8_t notify, enum dsn_kind kind, struct str reverse_path, const struct dsn_rules *rules)
{
    if (reverse_path.n == 0 || (notify & DSN_NOTIFY_NEVER)) /* RFC 5321 4.5.5 */
        return false;
    switch (kind) {
    case DSN_FAILED:
        return notify == DSN_NOTIFY_DEFAULT || (notify & DSN_NOTIFY_FAILURE);
    case DSN_DELAYED:
        return notify == DSN_NOTIFY_DEFAULT ? rules->delay : (notify & DSN_NOTIFY_DELAY) != 0;
    case DSN_DELIVERED:
    case DSN_RELAYED:
    case DSN_EXPANDED:
        return (notify & DSN_NOTIFY_SUCCESS) && rules->success;
    }
    return false;
}

bool dsn_relay_silently(uint8_t notify)
{
    return notify & DSN_NOTIFY_NEVER;
}
