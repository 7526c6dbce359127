/* master/notify.h: tells the service manager how far we are (sd_notify(3)), where there is one. */
#pragma once

/* Reads NOTIFY_SOCKET and takes it out of the environment. Before the user is changed. */
void notify_open(void);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
