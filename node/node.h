/* Edge: what the threads of one node share. Written before they start, read-only afterwards. */
#ifndef RINGKV_NODE_NODE_H
#define RINGKV_NODE_NODE_H

#include "node/data_folder.h"
#include "node/options.h"
#include "shared/secret.h"
#include <stdint.h>

struct worker;

struct node {
    struct node_options options;
    struct data_folder folder;
    struct secret secret;    /* of the cluster */
    struct worker **workers; /* folder.shards of them */
    /* Called from any of their threads: there is a newer ring, which `member` has; 0: who has it is
     * not known. */
    void (*newer_epoch)(void *arg, uint64_t epoch, uint16_t member);
    void *newer_arg;
};

#endif
