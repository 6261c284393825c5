#include "winnow_cuda/embed.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256;

struct EmbedArgs {
  WnEmbedParams p;
};

__global__ void __launch_bounds__(kThreads) embed_kernel(const __grid_constant__ EmbedArgs args) {
  const WnEmbedParams& p = args.p;
  let_successor_start();
  wait_for_predecessor();
  const int64_t token = blockIdx.x;
  const int id = p.ids[token];
  const bool is_known = id >= 0 && id < p.vocab_size;
  const auto* row = reinterpret_cast<const uint32_t*>(static_cast<const __nv_bfloat16*>(p.weight) + int64_t{is_known ? id : 0} * p.width);
  auto* out = reinterpret_cast<float2*>(p.out + token * p.width);
  for (int i = threadIdx.x; i < p.width / 2; i += kThreads) {
    const uint32_t word = row[i];
    const float missing = __uint_as_float(0x7fc00000u);
    out[i] = is_known ? float2{low_bf16(word) * p.scale, high_bf16(word) * p.scale} : float2{missing, missing};
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_embed(const WnEmbedParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "embed: params is null");
  const WnEmbedParams& p = *params;
  WN_REQUIRE(p.weight && p.ids && p.out, "embed: a required pointer is null");
  WN_REQUIRE(p.num_tokens >= 0 && p.num_tokens < (1LL << 31) && p.vocab_size > 0, "embed: counts");
  WN_REQUIRE(p.width > 0 && p.width % 8 == 0 && aligned(p.weight, 16) && aligned(p.out, 8), "embed: width or alignment");
  if (p.num_tokens == 0) return ok();
  const EmbedArgs args{p};
  return cuda_status(
      launch_early(embed_kernel, dim3(static_cast<unsigned>(p.num_tokens)), dim3(kThreads), 0, static_cast<cudaStream_t>(stream), args), "embed");
}
