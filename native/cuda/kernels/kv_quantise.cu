#include "winnow_cuda/kv_quantise.h"

#include "device.cuh"
#include "quantised_page.h"

namespace winnow {
namespace {

constexpr int kThreads = 128;

struct QuantiseArgs {
  WnKvQuantiseParams p;
};

WN_DEVICE __half2 quantisation(float low, float high) {
  return __halves2half2(__float2half_rn((high - low) / 15), __float2half_rn(low));
}
WN_DEVICE uint32_t code_of(float x, float scale, float low) {
  if (scale == 0) return 0;
  return static_cast<uint32_t>(fminf(fmaxf(rintf((x - low) / scale), 0.f), 15.f));
}

/// One page a block. Keys: a thread owns two channels of 32 tokens; values: a thread owns 32 channels of one token.
__global__ void __launch_bounds__(kThreads) kv_quantise_kernel(const __grid_constant__ QuantiseArgs args) {
  const WnKvQuantiseParams& p = args.p;
  const int head_dim = p.head_dim;
  const auto* page = static_cast<const __nv_bfloat16*>(p.pages) + int64_t(p.source_pages[blockIdx.x]) * 128 * head_dim;
  char* target = static_cast<char*>(p.quantised) + p.target_pages[blockIdx.x] * quantised_page_bytes(head_dim);
  for (int job = threadIdx.x; job < 2 * (head_dim / 2); job += kThreads) {
    const int group = job / (head_dim / 2), pair = job % (head_dim / 2);
    const auto* words = reinterpret_cast<const uint32_t*>(page) + 32 * group * (head_dim / 2) + pair;
    float low0 = INFINITY, high0 = -INFINITY, low1 = INFINITY, high1 = -INFINITY;
    for (int token = 0; token < 32; token++) {
      const uint32_t word = words[token * (head_dim / 2)];
      low0 = fminf(low0, low_bf16(word));
      high0 = fmaxf(high0, low_bf16(word));
      low1 = fminf(low1, high_bf16(word));
      high1 = fmaxf(high1, high_bf16(word));
    }
    const __half2 params0 = quantisation(low0, high0), params1 = quantisation(low1, high1);
    auto* params = reinterpret_cast<__half2*>(target + quantised_key_params(head_dim)) + group * head_dim + 2 * pair;
    params[0] = params0;
    params[1] = params1;
    const float2 scale_min0 = __half22float2(params0), scale_min1 = __half22float2(params1);
    for (int token = 0; token < 32; token++) {
      const uint32_t word = words[token * (head_dim / 2)];
      target[(32 * group + token) * (head_dim / 2) + pair] =
          static_cast<char>(code_of(low_bf16(word), scale_min0.x, scale_min0.y) |
                            code_of(high_bf16(word), scale_min1.x, scale_min1.y) << 4);
    }
  }
  const int groups = head_dim / 32;
  for (int job = threadIdx.x; job < 64 * groups; job += kThreads) {
    const int token = job / groups, group = job % groups;
    const auto* words = reinterpret_cast<const uint32_t*>(page + (64 + token) * head_dim + 32 * group);
    float low = INFINITY, high = -INFINITY;
    for (int i = 0; i < 16; i++) {
      low = fminf(low, fminf(low_bf16(words[i]), high_bf16(words[i])));
      high = fmaxf(high, fmaxf(low_bf16(words[i]), high_bf16(words[i])));
    }
    const __half2 params = quantisation(low, high);
    reinterpret_cast<__half2*>(target + quantised_value_params(head_dim))[job] = params;
    const float2 scale_min = __half22float2(params);
    char* codes = target + quantised_value_codes(head_dim) + token * (head_dim / 2) + 16 * group;
    for (int i = 0; i < 16; i++)
      codes[i] = static_cast<char>(code_of(low_bf16(words[i]), scale_min.x, scale_min.y) |
                                   code_of(high_bf16(words[i]), scale_min.x, scale_min.y) << 4);
  }
}

}  // namespace
}  // namespace winnow

int64_t wn_quantised_page_bytes(int32_t head_dim) { return winnow::quantised_page_bytes(head_dim); }

WnStatus wn_kv_quantise(const WnKvQuantiseParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "kv_quantise: params is null");
  const WnKvQuantiseParams& p = *params;
  WN_REQUIRE(p.pages && p.source_pages && p.target_pages && p.quantised, "kv_quantise: a required pointer is null");
  WN_REQUIRE(aligned(p.pages, 16) && aligned(p.quantised, 16), "kv_quantise: misaligned pointer");
  WN_REQUIRE(p.num_jobs > 0, "kv_quantise: num_jobs must be positive");
  WN_REQUIRE(p.head_dim == 64 || p.head_dim == 128, "kv_quantise: head_dim not 64 or 128");
  kv_quantise_kernel<<<p.num_jobs, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(QuantiseArgs{p});
  return launch_status("kv_quantise");
}
