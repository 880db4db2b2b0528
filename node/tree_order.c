#include "node/tree_order.h"
#include "shared/bytes.h"
#include "shared/wire.h"

int tree_order(const MDB_val *a, const MDB_val *b)
{
    if (a->mv_size >= sizeof(uint64_t) && b->mv_size >= sizeof(uint64_t)) {
        uint64_t left = wire_get_position(a->mv_data), right = wire_get_position(b->mv_data);

        if (left != right)
            return left < right ? -1 : 1;
    }
    return bytes_compare(bytes_of(a->mv_data, a->mv_size), bytes_of(b->mv_data, b->mv_size));
}
