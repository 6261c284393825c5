#ifndef WINNOW_CUDA_STATUS_H
#define WINNOW_CUDA_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
#define WN_API extern "C" __attribute__((visibility("default")))
#else
#define WN_API __attribute__((visibility("default")))
#endif

enum {
  WN_OK = 0,
  WN_INVALID = 1,      ///< a parameter breaks a line under Shapes or Limits
  WN_UNSUPPORTED = 2,  ///< valid, but not built for this device or size
  WN_NO_DRIVER = 3,    ///< no usable driver or device
  WN_CUDA = 4          ///< a CUDA call failed; the message holds its name
};

/// Result of every call. `message` is empty when `code` is WN_OK, otherwise one sentence, NUL-terminated.
typedef struct WnStatus {
  int32_t code;
  char message[252];
} WnStatus;

/// Element types that a `*_type` parameter may name.
enum { WN_F32 = 0, WN_BF16 = 1, WN_I32 = 2 };

/// Number of token slots in one page of the paged cache.
///
/// A page belongs to one KV head. It holds K [64][head_dim] and then V [64][head_dim], bf16, row-major, so page p
/// begins at element p * 128 * head_dim of the arena. Slots never written must hold finite values (zero the arena
/// once): a masked weight is 0, and 0 * NaN would be NaN.
enum { WN_PAGE_SIZE = 64 };

#endif
