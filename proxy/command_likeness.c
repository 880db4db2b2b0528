#include "proxy/command_likeness.h"
#include <stddef.h>
#include <string.h>

#define HELP "of what there is"

static const struct {
    const char *name, *text;
} differences[] = {
    {"acl|cat", "only the categories of the commands that are there"},
    {"acl|help", HELP},
    {"acl|list", "users have no rules: all may do everything; hashes are not shown"},
    {"bgrewriteaof", "has nothing to do"},
    {"bgsave", "has nothing to do, makes no file"},
    {"client|help", HELP},
    {"client|id", "unique in one proxy"},
    {"client|info", "of the proxy that answers; figures that a proxy has not are 0"},
    {"client|kill", "connections of the proxy that answers"},
    {"client|list", "connections of the proxy that answers"},
    {"client|no-evict", "has no effect: nothing is evicted"},
    {"client|no-touch", "of Redis 7.2; has no effect"},
    {"client|setinfo", "of Redis 7.2"},
    {"command", "of the commands that there are"},
    {"command|docs", "other words; without history, and what is deprecated"},
    {"command|help", HELP},
    {"config|get", "what is true of ringkv in Redis's terms"},
    {"config|help", HELP},
    {"config|resetstat", "of the proxy that answers"},
    {"config|set", "a few settings of the proxy that answers, until it ends; other bounds"},
    {"copy", "keys of one partition; no DB"},
    {"dbsize", "counts while others write; keys that have expired do not count"},
    {"del", "in one step for the keys of one partition"},
    {"exec", "keys of one partition"},
    {"flushall", "partition by partition; ASYNC has no effect"},
    {"flushdb", "partition by partition; ASYNC has no effect"},
    {"hello", "the proxy's version, id and mode; one AUTH"},
    {"info", "of the proxy that answers; another set of fields"},
    {"keys", "as many as half of client_output has room for"},
    {"lastsave", "the present time"},
    {"latency|doctor", "other words"},
    {"latency|help", HELP},
    {"latency|histogram", "of the proxy that answers, nodes included; times to an eighth"},
    {"latency|history", "of the proxy that answers"},
    {"latency|latest", "of the proxy that answers"},
    {"latency|reset", "of the proxy that answers"},
    {"lcs", "keys of one partition; values whose sizes multiply to at most 2^22"},
    {"memory|doctor", "other words"},
    {"memory|help", HELP},
    {"memory|stats", "of the proxy that answers; fewer fields"},
    {"memory|usage", "the size of key and value and 64 bytes"},
    {"mget", "in one step for the keys of one partition"},
    {"mset", "in one step for the keys of one partition"},
    {"msetnx", "keys of one partition"},
    {"multi", "keys of one partition"},
    {"object|encoding", "as after SET: APPEND and SETRANGE do not make it raw"},
    {"object|help", HELP},
    {"object|idletime", "0"},
    {"object|refcount", "1"},
    {"readonly", "any replica answers, through the proxy"},
    {"readwrite", "as before READONLY"},
    {"rename", "keys of one partition"},
    {"renamenx", "keys of one partition"},
    {"role", "a master without replicas"},
    {"save", "has nothing to do, makes no file"},
    {"scan", "every key that stays is given at least once, whatever nodes do; another cursor"},
    {"select", "0 only"},
    {"slowlog|get", "of the proxy that answers"},
    {"slowlog|help", HELP},
    {"slowlog|len", "of the proxy that answers"},
    {"slowlog|reset", "of the proxy that answers"},
    {"touch", "nothing is kept of when keys were used"},
    {"unlink", "as DEL"},
    {"wait", "answers at once"},
    {"watch", "keys of one partition"},
};

const char *command_difference(const char *name)
{
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++)
        if (strcmp(differences[i].name, name) == 0)
            return differences[i].text;
    return NULL;
}

static const struct command_absence absences[] = {
    {"bitmap", "BITFIELD, BITFIELD_RO, BITOP"},
    {"cluster", "ASKING, CLUSTER"},
    {"connection",
     "CLIENT CACHING, CLIENT GETREDIR, CLIENT PAUSE, CLIENT TRACKING, CLIENT TRACKINGINFO, "
     "CLIENT UNBLOCK, CLIENT UNPAUSE"},
    {"generic", "DUMP, MIGRATE, MOVE, RESTORE, SORT, SORT_RO"},
    {"geo", "GEOADD, GEODIST, GEOHASH, GEOPOS, GEORADIUS, GEORADIUS_RO, GEORADIUSBYMEMBER, "
            "GEORADIUSBYMEMBER_RO, GEOSEARCH, GEOSEARCHSTORE"},
    {"hash", "HDEL, HEXISTS, HGET, HGETALL, HINCRBY, HINCRBYFLOAT, HKEYS, HLEN, HMGET, HMSET, "
             "HRANDFIELD, HSCAN, HSET, HSETNX, HSTRLEN, HVALS"},
    {"hyperloglog", "PFADD, PFCOUNT, PFDEBUG, PFMERGE, PFSELFTEST"},
    {"list", "BLMOVE, BLMPOP, BLPOP, BRPOP, BRPOPLPUSH, LINDEX, LINSERT, LLEN, LMOVE, LMPOP, LPOP, "
             "LPOS, LPUSH, LPUSHX, LRANGE, LREM, LSET, LTRIM, RPOP, RPOPLPUSH, RPUSH, RPUSHX"},
    {"pubsub", "PSUBSCRIBE, PUBLISH, PUBSUB, PUNSUBSCRIBE, SPUBLISH, SSUBSCRIBE, SUBSCRIBE, "
               "SUNSUBSCRIBE, UNSUBSCRIBE"},
    {"scripting", "EVAL, EVAL_RO, EVALSHA, EVALSHA_RO, FCALL, FCALL_RO, FUNCTION, SCRIPT"},
    {"server",
     "ACL DELUSER, ACL DRYRUN, ACL GENPASS, ACL GETUSER, ACL LOAD, ACL LOG, ACL SAVE, ACL "
     "SETUSER, COMMAND GETKEYSANDFLAGS, CONFIG REWRITE, DEBUG, FAILOVER, LATENCY GRAPH, LOLWUT, "
     "MEMORY MALLOC-STATS, MEMORY PURGE, MODULE, MONITOR, "
     "PSYNC, REPLCONF, REPLICAOF, RESTORE-ASKING, SHUTDOWN, SLAVEOF, SWAPDB, SYNC"},
    {"set", "SADD, SCARD, SDIFF, SDIFFSTORE, SINTER, SINTERCARD, SINTERSTORE, SISMEMBER, "
            "SMEMBERS, SMISMEMBER, SMOVE, SPOP, SRANDMEMBER, SREM, SSCAN, SUNION, SUNIONSTORE"},
    {"sorted-set",
     "BZMPOP, BZPOPMAX, BZPOPMIN, ZADD, ZCARD, ZCOUNT, ZDIFF, ZDIFFSTORE, ZINCRBY, ZINTER, "
     "ZINTERCARD, ZINTERSTORE, ZLEXCOUNT, ZMPOP, ZMSCORE, ZPOPMAX, ZPOPMIN, ZRANDMEMBER, "
     "ZRANGE, ZRANGEBYLEX, ZRANGEBYSCORE, ZRANGESTORE, ZRANK, ZREM, ZREMRANGEBYLEX, "
     "ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREVRANGE, ZREVRANGEBYLEX, ZREVRANGEBYSCORE, "
     "ZREVRANK, ZSCAN, ZSCORE, ZUNION, ZUNIONSTORE"},
    {"stream",
     "XACK, XADD, XAUTOCLAIM, XCLAIM, XDEL, XGROUP, XINFO, XLEN, XPENDING, XRANGE, XREAD, "
     "XREADGROUP, XREVRANGE, XSETID, XTRIM"},
    {0},
};

const struct command_absence *command_absences(void)
{
    return absences;
}
