/* The families of commands. */
#include "proxy/command_rows.h"

const struct command *const *command_families(void)
{
    static const struct command *const families[] = {commands_bits,        commands_connection,
                                                     commands_inspect,     commands_key,
                                                     commands_keyspace,    commands_server,
                                                     commands_string,      commands_together,
                                                     commands_transaction, NULL};

    return families;
}
