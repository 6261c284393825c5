#include "attend_prefill.h"

#include <algorithm>
#include <atomic>

#include "pool.h"

namespace winnow {
namespace {

/// Rows of a tile: enough that packing a key block is a small part of using it (384 rows: 2 %).
constexpr int32_t kTileRows = 384;

Status CheckPrefill(const Context& context, const AttendPrefillParams& p) {
  const LayerGeometry& shape = p.cache->geometry(p.layer);
  if (p.cache->layout().element != context.act()) {
    return Status::Shape("attendPrefill.cache", std::string("a cache of ") + NameOf(context.act()),
                         NameOf(p.cache->layout().element));
  }
  if (p.num_query_heads < 1 || p.num_query_heads % shape.num_kv_heads != 0) {
    return Status::Shape("attendPrefill.q",
                         "query heads in multiples of numKvHeads (" + std::to_string(shape.num_kv_heads) + ")",
                         std::to_string(p.num_query_heads));
  }
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    const int32_t len = p.cache->head(p.layer, h).len;
    if (len < p.query_len) {
      return Status::Shape("attendPrefill.cache",
                           "at least " + std::to_string(p.query_len) + " slots in KV head " + std::to_string(h),
                           std::to_string(len));
    }
  }
  return Status();
}

AttendJob JobOf(const Context& context, const AttendPrefillParams& p, int32_t kv_head) {
  const LayerGeometry& shape = p.cache->geometry(p.layer);
  const HeadCache& head = p.cache->head(p.layer, kv_head);
  const int32_t group = p.num_query_heads / shape.num_kv_heads;
  const int32_t first = kv_head * group;
  AttendJob job;
  job.element = p.cache->layout().element;
  job.kernels = &AttendFor(context.isa, job.element == DType::kBf16);
  const int64_t element = static_cast<int64_t>(SizeOf(job.element));
  job.list.head = &head;
  job.list.kept = head.len - p.query_len;
  job.list.first_new = job.list.kept;
  job.list.num_new = p.query_len;
  job.head_dim = shape.head_dim;
  job.head_dim_v = shape.head_dim_v;
  job.num_heads = group;
  job.query_len = p.query_len;
  job.q = static_cast<const uint8_t*>(p.q) + int64_t{first} * shape.head_dim * element;
  job.q_token_stride = int64_t{p.num_query_heads} * shape.head_dim;
  job.out = static_cast<uint8_t*>(p.out) + int64_t{first} * shape.head_dim_v * element;
  job.out_token_stride = int64_t{p.num_query_heads} * shape.head_dim_v;
  job.lse = p.lse == nullptr ? nullptr : p.lse + first;
  job.lse_token_stride = p.num_query_heads;
  job.softmax_scale = p.softmax_scale;
  job.soft_cap = p.soft_cap;
  job.sliding_window = p.sliding_window;
  job.windows = p.windows == nullptr ? nullptr : p.windows + first * 2;
  return job;
}

/// Tokens of a tile: multiples of a group of rows, fewer when there would be too few tiles for the threads.
int32_t TileTokens(int32_t query_len, int32_t group_size, int32_t num_kv_heads, int32_t threads) {
  int32_t tokens = std::max(kGroupRows, kTileRows / group_size / kGroupRows * kGroupRows);
  const int64_t wanted = int64_t{threads} * 4;
  while (tokens > 4 * kGroupRows && int64_t{num_kv_heads} * ((query_len + tokens - 1) / tokens) < wanted) {
    tokens = std::max(4 * kGroupRows, tokens / 2 / kGroupRows * kGroupRows);
  }
  return std::min(tokens, query_len);
}

}  // namespace

Status AttendPrefill(const Context& context, const AttendPrefillParams& p) {
  WINNOW_TRY(CheckPrefill(context, p));
  if (p.query_len == 0) return Status();
  const int32_t num_kv_heads = p.cache->geometry(p.layer).num_kv_heads;
  Pool& pool = Pool::Instance();
  const int32_t tokens = TileTokens(p.query_len, p.num_query_heads / num_kv_heads, num_kv_heads, pool.threads());
  const int32_t tiles = (p.query_len + tokens - 1) / tokens;
  std::atomic<bool> has_memory{true};
  pool.ParallelFor(int64_t{tiles} * num_kv_heads, [&](int64_t chunk) {
    // The longest tiles go first, so that the threads end together.
    const int32_t tile = tiles - 1 - static_cast<int32_t>(chunk / num_kv_heads);
    const AttendJob job = JobOf(context, p, static_cast<int32_t>(chunk % num_kv_heads));
    if (!AttendTile(job, tile * tokens, std::min(p.query_len, (tile + 1) * tokens))) has_memory = false;
  });
  if (!has_memory) return Status::Fail(Code::kOutOfMemory, "attendPrefill", "memory for scratch", "none");
  return Status();
}

}  // namespace winnow
