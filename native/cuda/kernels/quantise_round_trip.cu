#include "winnow_cuda/quantise_round_trip.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr float kHalfMax = 65504.0f;

struct RoundTripArgs {
  WnQuantiseRoundTripParams p;
};

WN_DEVICE float bounded(float x) { return fminf(fmaxf(x, -kHalfMax), kHalfMax); }

/// Scale and minimum of a range as they are stored.
struct Codec {
  float scale, minimum, levels;
  WN_DEVICE Codec(float low, float high, int bits) : levels(static_cast<float>((1 << bits) - 1)) {
    scale = __half2float(__float2half_rn((high - low) / levels));
    minimum = __half2float(__float2half_rn(low));
  }
  WN_DEVICE float round_trip(float x) const {
    const float code = scale > 0 ? fminf(fmaxf(rintf((x - minimum) / scale), 0.0f), levels) : 0.0f;
    return code * scale + minimum;
  }
};

/// A thread per channel and group of rows: neighbours read neighbouring channels.
__global__ void __launch_bounds__(kThreads) round_trip_rows_kernel(const __grid_constant__ RoundTripArgs args) {
  const WnQuantiseRoundTripParams& p = args.p;
  const int64_t i = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x;
  if (i >= p.rows / p.group * p.dim) return;
  const int64_t first = i / p.dim * p.group * p.dim + i % p.dim;
  float low = INFINITY, high = -INFINITY;
  for (int r = 0; r < p.group; r++) {
    const float x = bounded(p.x[first + static_cast<int64_t>(r) * p.dim]);
    low = fminf(low, x);
    high = fmaxf(high, x);
  }
  const Codec codec(low, high, p.bits);
  for (int r = 0; r < p.group; r++) p.out[first + static_cast<int64_t>(r) * p.dim] = codec.round_trip(p.x[first + static_cast<int64_t>(r) * p.dim]);
}

/// A warp per group of channels.
__global__ void __launch_bounds__(kThreads) round_trip_channels_kernel(const __grid_constant__ RoundTripArgs args) {
  const WnQuantiseRoundTripParams& p = args.p;
  const int64_t group = blockIdx.x * static_cast<int64_t>(kWarps) + threadIdx.x / 32;
  const int lane = threadIdx.x & 31;
  if (group >= p.rows * (p.dim / p.group)) return;
  const float* x = p.x + group * p.group;
  float low = INFINITY, high = -INFINITY;
  for (int c = lane; c < p.group; c += 32) {
    low = fminf(low, bounded(x[c]));
    high = fmaxf(high, bounded(x[c]));
  }
  low = warp_reduce(low, [](float a, float b) { return fminf(a, b); });
  high = warp_reduce(high, [](float a, float b) { return fmaxf(a, b); });
  const Codec codec(low, high, p.bits);
  for (int c = lane; c < p.group; c += 32) p.out[group * p.group + c] = codec.round_trip(x[c]);
}

}  // namespace
}  // namespace winnow

WnStatus wn_quantise_round_trip(const WnQuantiseRoundTripParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params && params->x && params->out, "quantise_round_trip: a required pointer is null");
  const WnQuantiseRoundTripParams& p = *params;
  WN_REQUIRE(p.bits == 2 || p.bits == 4 || p.bits == 8, "quantise_round_trip: bits not 2, 4 or 8");
  WN_REQUIRE(p.along == 0 || p.along == 1, "quantise_round_trip: along");
  WN_REQUIRE(p.rows > 0 && p.dim > 0 && p.group > 0 && (p.along == 0 ? p.rows : p.dim) % p.group == 0, "quantise_round_trip: group");
  const int64_t groups = p.rows * p.dim / p.group, blocks = ceil_div(groups, p.along == 0 ? kThreads : kWarps);
  WN_REQUIRE(blocks < (1LL << 31), "quantise_round_trip: too many groups");
  auto* kernel = p.along == 0 ? round_trip_rows_kernel : round_trip_channels_kernel;
  kernel<<<static_cast<unsigned>(blocks), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(RoundTripArgs{p});
  return launch_status("quantise_round_trip");
}
