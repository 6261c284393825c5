#include "host_op.h"

using namespace winnow;

WnStatus wn_cache_merge_check(const WnCacheMergeParams* p, void*) {
  cache_merge_check_ref(*p);
  return {};
}
WnStatus wn_cache_merge(const WnCacheMergeParams* p, void*) {
  cache_merge_ref(*p);
  return {};
}
int64_t wn_cache_merge_workspace_bytes(const WnCacheMergeParams*) { return 0; }

WnStatus wn_cache_rotate_check(const WnCacheRotateParams* p, void*) {
  cache_rotate_check_ref(*p);
  return {};
}
WnStatus wn_cache_rotate(const WnCacheRotateParams* p, void*) {
  cache_rotate_ref(*p);
  return {};
}
