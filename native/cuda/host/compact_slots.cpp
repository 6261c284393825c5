#include "host_op.h"

using namespace winnow;

WnStatus wn_compact_slots(const WnCompactSlotsParams* p, void*) {
  compact_slots_ref(*p);
  return {};
}
