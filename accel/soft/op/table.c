/* Which C function does which instruction. */
#include <Zydis/Zydis.h>

#include "accel/soft/soft.h"

static const Op *by_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1];

static void merge(const Op *ops)
{
    for (; ops->mnemonic; ops++) {
        g_assert(!by_mnemonic[ops->mnemonic]); /* two tables claim it */
        by_mnemonic[ops->mnemonic] = ops;
    }
}

static const Op *const tables[] = {ops_integer, ops_string, ops_segment, ops_flow, ops_system, ops_x87, ops_x87_control,
                                   ops_xsave};

static const Op *integer_end;

bool op_is_integer(const Op *op)
{
    return op >= ops_integer && op < integer_end;
}

const Op *op_find(unsigned mnemonic)
{
    static gsize merged;
    if (g_once_init_enter(&merged)) {
        for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++) {
            merge(tables[i]);
        }
        for (integer_end = ops_integer; integer_end->mnemonic; integer_end++) {
        }
        g_once_init_leave(&merged, 1);
    }
    return mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE ? by_mnemonic[mnemonic] : NULL;
}
