/* A namespace as its adapter sees it (adapter/adapter.h: adapter_host). */
#ifndef CONFAB_SERVER_IO_HOST_H
#define CONFAB_SERVER_IO_HOST_H

#include "adapter/adapter.h"

/* The host is a struct sio_namespace. */
extern const struct adapter_host namespace_host;

#endif
