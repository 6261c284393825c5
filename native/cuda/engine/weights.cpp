#include "weights.h"

#include <cmath>
#include <cstring>

#include "../../kernels/numerics.h"
#include "../../kernels/pool.h"
#include "winnow_cuda/random_normal.h"

namespace winnow::gpu {

namespace {

/// The checkpoint row behind row `row` of a source: RoPE pairs re-ordered from (2 i, 2 i + 1) to (i, i + head_dim / 2).
int64_t CheckpointRow(const WeightSource& s, int64_t row) {
  if (s.interleaved_heads == 0) return row;
  const int64_t head_dim = s.rows / s.interleaved_heads, i = row % head_dim, half = head_dim / 2;
  return row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

float PlainValue(WeightType type, const std::byte* at) {
  if (type == WeightType::kF32) {
    float x;
    std::memcpy(&x, at, 4);
    return x;
  }
  uint16_t half;
  std::memcpy(&half, at, 2);
  return type == WeightType::kF16 ? FromF16(half) : FromBf16(half);
}

/// One checkpoint row in bf16, by way of the f32 weights that every CPU kernel sees.
void RoundRow(const WeightSource& s, int64_t row, Bf16* out) {
  const std::byte* bytes = s.bytes + CheckpointRow(s, row) * RowBytes(s.type, s.cols);
  if (!IsBlockType(s.type)) {
    const int64_t width = s.type == WeightType::kF32 ? 4 : 2;
    for (int64_t k = 0; k < s.cols; k++) out[k] = ToBf16(PlainValue(s.type, bytes + k * width));
    return;
  }
  const int64_t cells = RecordCells(s.type);
  std::byte record[320];
  uint8_t codes[kBlock];
  for (int64_t block = 0; block < s.cols / kBlock; block++) {
    if (block % cells == 0) DecodeScales(s.type, bytes + block / cells * BlockBytes(s.type), 0, record);
    DecodeCodes(s.type, bytes, block, codes);
    for (int half = 0; half < 2; half++) {
      const ScalePair scale = ScalesAt(s.type, record, static_cast<int>(block % cells), half, 0);
      for (int i = 16 * half; i < 16 * half + 16; i++) {
        const int code = CodesOf(s.type) == Codes::kTable ? kTableValues[codes[i]] : codes[i];
        out[block * kBlock + i] = ToBf16(std::fma(static_cast<float>(code), scale.d, scale.m));
      }
    }
  }
}

Status CheckSources(const std::vector<WeightSource>& sources, int64_t weave) {
  if (sources.empty()) return Status::Shape("packWeight.sources", "at least one source", "none");
  for (const WeightSource& s : sources) WINNOW_TRY(CheckSource(s, sources[0].cols));
  if (weave > 0 && (sources.size() != 2 || sources[0].rows != sources[1].rows || sources[0].rows % weave != 0)) {
    return Status::Shape("packWeight.interleave", "two sources of equal rows, a multiple of interleave",
                         std::to_string(sources.size()) + " sources, interleave " + std::to_string(weave));
  }
  return {};
}

}  // namespace

WeightStore::~WeightStore() {
  for (auto& [id, weight] : weights_) device_->Free(weight.data, weight.bytes);
}

Status WeightStore::Add(int64_t rows, int64_t cols, int64_t weave, uint32_t* id, DeviceWeight** out) {
  DeviceWeight weight{.rows = rows, .cols = cols, .weave = weave, .bytes = static_cast<size_t>(rows) * static_cast<size_t>(cols) * 2};
  weight.data = device_->Allocate(weight.bytes);
  if (weight.data == nullptr) {
    return Status::Fail(Code::kOutOfMemory, "packWeight", std::to_string(weight.bytes) + " bytes of device memory", "none",
                        "Use a smaller model.");
  }
  bytes_ += static_cast<int64_t>(weight.bytes);
  *id = next_++;
  *out = &(weights_[*id] = weight);
  return {};
}

Status WeightStore::Pack(const std::vector<WeightSource>& sources, int64_t weave, uint32_t* out) {
  WINNOW_TRY(CheckSources(sources, weave));
  int64_t rows = 0;
  for (const WeightSource& s : sources) rows += s.rows;
  const int64_t cols = sources[0].cols;
  DeviceWeight* weight = nullptr;
  WINNOW_TRY(Add(rows, cols, weave, out, &weight));

  /// Where row `row` of the packed matrix comes from.
  auto origin = [&](int64_t row) -> std::pair<const WeightSource*, int64_t> {
    if (weave > 0) return {&sources[row / weave % 2], row / (2 * weave) * weave + row % weave};
    size_t s = 0;
    while (row >= sources[s].rows) row -= sources[s++].rows;
    return {&sources[s], row};
  };
  // In bands, so that the host never holds a second copy of a large matrix.
  const int64_t band = std::max<int64_t>(1, (int64_t{16} << 20) / (2 * cols));
  std::vector<Bf16> rounded(static_cast<size_t>(std::min(band, rows) * cols));
  for (int64_t first = 0; first < rows; first += band) {
    const int64_t count = std::min(band, rows - first);
    Pool::Instance().ParallelFor(count, [&](int64_t i) {
      const auto [source, row] = origin(first + i);
      RoundRow(*source, row, rounded.data() + i * cols);
    });
    WINNOW_TRY(device_->CopyUp(weight->data + first * cols * 2, rounded.data(), static_cast<size_t>(count * cols) * 2));
  }
  return {};
}

Status WeightStore::Random(int64_t rows, int64_t cols, uint32_t seed, float deviation, uint32_t* out) {
  constexpr int64_t kMost = int64_t{1} << 28;
  if (rows < 1 || cols < 1 || rows > kMost || cols > kMost) {
    return Status::Shape("randomWeight.rows, cols", "1 to 2^28", std::to_string(rows) + " x " + std::to_string(cols));
  }
  DeviceWeight* weight = nullptr;
  // Any order of rows is as random: a gate and an up of 32 rows each where they fit.
  WINNOW_TRY(Add(rows, cols, rows % 64 == 0 ? 32 : 0, out, &weight));
  const WnRandomNormalParams params{.out = weight->data, .count = rows * cols, .seed = seed, .deviation = deviation};
  return FromWn(wn_random_normal(&params, device_->stream()), "randomWeight");
}

Status WeightStore::Get(uint32_t id, const char* where, const DeviceWeight** out) const {
  auto found = weights_.find(id);
  if (found == weights_.end()) return Status::Shape(where, "the id of a packed weight", std::to_string(id));
  *out = &found->second;
  return {};
}

Status WeightStore::Free(uint32_t id) {
  auto found = weights_.find(id);
  if (found == weights_.end()) return Status::Shape("freeWeight.w", "the id of a packed weight", std::to_string(id));
  device_->Free(found->second.data, found->second.bytes);
  bytes_ -= static_cast<int64_t>(found->second.bytes);
  weights_.erase(found);
  return {};
}

}  // namespace winnow::gpu
