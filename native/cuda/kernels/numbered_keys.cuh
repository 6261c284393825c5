/// The keys that a block of queries may see, numbered one behind the other: what attend_sets gathers.
#ifndef WINNOW_CUDA_NUMBERED_KEYS_CUH
#define WINNOW_CUDA_NUMBERED_KEYS_CUH

#include "attention_any.cuh"
#include "block_scan.cuh"
#include "key_sets.cuh"

namespace winnow {

/// Words of slots that a block numbers at once, and how many a thread has of them.
constexpr int kWindowWords = 512, kWordsEach = kWindowWords / kAnyThreads, kWindowSlots = kWindowWords * 32;

/// The keys of a window of slots that any query of the block may see, numbered from 0.
struct Numbered {
  uint32_t words[kWindowWords];
  int32_t before[kWindowWords];  ///< keys in the words ahead
  int32_t of_warp[kAnyThreads / 32];
  int32_t ahead, old;  ///< for compact positions: keys before the window, and old ones in all
};

/// Numbers the keys among [begin, end); returns how many there are. Every thread of the block calls it.
WN_DEVICE int number_keys(const KeyReader& keys, int first_token, int last_token, int begin, int end, Numbered& out) {
  int count = 0, total = 0;
#pragma unroll 1
  for (int i = threadIdx.x * kWordsEach; i < (threadIdx.x + 1) * kWordsEach; i++) {
    const int s = begin + i * 32;
    const uint32_t word = s < end ? keys.any(first_token, last_token, s) & range_word(s, begin, end) : 0;
    out.words[i] = word;
    count += __popc(word);
  }
  int before = block_scan<kAnyThreads>(count, out.of_warp, &total);
#pragma unroll 1
  for (int i = threadIdx.x * kWordsEach; i < (threadIdx.x + 1) * kWordsEach; i++) {
    out.before[i] = before;
    before += __popc(out.words[i]);
  }
  __syncthreads();
  return total;
}
/// How many keys lie in [0, end).
WN_DEVICE int count_keys(const KeyReader& keys, int first_token, int last_token, int end, int32_t* of_warp) {
  int count = 0, total = 0;
#pragma unroll 1
  for (int s = threadIdx.x * 32; s < end; s += kAnyThreads * 32)
    count += __popc(keys.any(first_token, last_token, s) & range_word(s, 0, end));
  block_scan<kAnyThreads>(count, of_warp, &total);
  return total;
}
/// Offset in its window of key i.
WN_DEVICE int numbered_slot(const Numbered& of, int i) {
  int word = 0;
#pragma unroll
  for (int step = kWindowWords / 2; step > 0; step /= 2)
    if (of.before[word + step] <= i) word += step;
  uint32_t bits = of.words[word];
  int left = i - of.before[word], at = 0;
#pragma unroll
  for (int width = 16; width > 0; width /= 2) {
    const int low = __popc(bits & ((1u << width) - 1));
    if (left >= low) {
      left -= low;
      at += width;
      bits >>= width;
    }
  }
  return word * 32 + at;
}

}  // namespace winnow

#endif
