#include "rope_append.h"

#include <algorithm>
#include <cstring>

#include "pool.h"

namespace winnow {
namespace {

Status CheckAppend(const Context& context, const RopeAppendParams& p) {
  for (int32_t r = 0; r < p.rows; r++) {
    const Cache& cache = *p.caches[r];
    const LayerGeometry& shape = cache.geometry(p.layer);
    if (cache.layout().element != context.act()) {
      return Status::Shape("ropeAppend.caches", std::string("caches of ") + NameOf(context.act()),
                           NameOf(cache.layout().element));
    }
    if (shape.head_dim != shape.head_dim_v) {
      return Status::Shape("ropeAppend.caches", "value heads as wide as key heads (" + std::to_string(shape.head_dim) + ")",
                           std::to_string(shape.head_dim_v));
    }
    for (int32_t other = 0; other < r; other++) {
      if (p.caches[other] == p.caches[r]) {
        return Status::Shape("ropeAppend.caches", "each cache once",
                             "rows " + std::to_string(other) + " and " + std::to_string(r) + " alike");
      }
    }
  }
  return Status();
}

/// Copies row-major [token][head][dim] elements into the new slots of one head.
void FillHead(const HeadCache& head, int32_t query_len, const uint8_t* keys, const uint8_t* values, int64_t token_bytes,
              int64_t row_bytes, const int32_t* positions) {
  for (int32_t t = 0; t < query_len; t++) {
    const int32_t slot = head.len - query_len + t;
    Page& page = *head.pages[slot / kPageSize];
    const int32_t at = slot % kPageSize;
    std::memcpy(page.planes[0].data + at * row_bytes, keys + t * token_bytes, row_bytes);
    std::memcpy(page.planes[1].data + at * row_bytes, values + t * token_bytes, row_bytes);
    page.positions[at] = positions[t];
  }
}

}  // namespace

Status RopeAppend(const Context& context, const RopeAppendParams& p) {
  if (p.rows == 0 || p.query_len == 0) return Status();
  WINNOW_TRY(CheckAppend(context, p));
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const DType element = p.caches[0]->layout().element;
  const int64_t row_bytes = int64_t{shape.head_dim} * static_cast<int64_t>(SizeOf(element));
  const int64_t token_bytes = row_bytes * shape.num_kv_heads;
  const int64_t num_tokens = int64_t{p.rows} * p.query_len;
  auto* keys = static_cast<uint8_t*>(Pool::Scratch(3, std::max<size_t>(64, static_cast<size_t>(2 * num_tokens * token_bytes))));
  if (keys == nullptr) return Status::Fail(Code::kOutOfMemory, "ropeAppend", "memory for scratch", "none");
  uint8_t* values = keys + num_tokens * token_bytes;
  WINNOW_TRY(Rope(context, {.qkv = p.qkv,
                            .qkv_type = p.qkv_type,
                            .positions = p.positions,
                            .cos_sin = p.cos_sin,
                            .num_tokens = num_tokens,
                            .num_query_heads = p.num_query_heads,
                            .num_kv_heads = shape.num_kv_heads,
                            .head_dim = shape.head_dim,
                            .rope_dims = p.rope_dims,
                            .max_positions = p.max_positions,
                            .rotate_keys = !p.pre_rope_keys,
                            .q_norm = p.q_norm,
                            .k_norm = p.k_norm,
                            .eps = p.eps,
                            .q_out = p.q_out,
                            .k_out = keys,
                            .k_type = element,
                            .v_out = values,
                            .v_type = element}));
  for (int32_t r = 0; r < p.rows; r++) p.caches[r]->Grow(p.layer, p.query_len);
  const int32_t heads = shape.num_kv_heads;
  Pool::Instance().ParallelRanges(int64_t{p.rows} * heads, std::max(1, 64 / p.query_len), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t row = i / heads;
      const int32_t h = static_cast<int32_t>(i % heads);
      const int64_t offset = row * p.query_len * token_bytes + h * row_bytes;
      FillHead(p.caches[row]->head(p.layer, h), p.query_len, keys + offset, values + offset, token_bytes, row_bytes,
               p.positions + row * p.query_len);
    }
  });
  return Status();
}

}  // namespace winnow
