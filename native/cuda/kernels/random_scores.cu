#include "winnow_cuda/random_scores.h"

#include "element.cuh"

namespace winnow {
namespace {

struct RandomScoresArgs {
  WnRandomScoresParams p;
};

__global__ void __launch_bounds__(256) random_scores_kernel(const __grid_constant__ RandomScoresArgs args) {
  const WnRandomScoresParams& p = args.p;
  const int64_t per_row = static_cast<int64_t>(p.num_kv_heads) * p.length, step = static_cast<int64_t>(gridDim.x) * 256;
  for (int64_t i = blockIdx.x * 256LL + threadIdx.x; i < p.rows * per_row; i += step)
    p.scores[i] = random_score(p.seed, p.layer, i % per_row / p.length, i % p.length);
}

}  // namespace
}  // namespace winnow

WnStatus wn_random_scores(const WnRandomScoresParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "random_scores: params is null");
  const WnRandomScoresParams& p = *params;
  WN_REQUIRE(p.rows >= 0 && p.num_kv_heads >= 0 && p.length >= 0, "random_scores: negative counts");
  const int64_t count = static_cast<int64_t>(p.rows) * p.num_kv_heads * p.length;
  if (count == 0) return ok();
  WN_REQUIRE(p.scores, "random_scores: scores is null");
  random_scores_kernel<<<grid_for(count), 256, 0, static_cast<cudaStream_t>(stream)>>>(RandomScoresArgs{p});
  return launch_status("random_scores");
}
