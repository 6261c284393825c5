#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "bench.h"
#include "packed_page.h"

/// Packed caches: how long packing and unpacking take, and a decode step over codes beside one over bf16 pages, turn by turn.
namespace winnow::bench {

namespace {

struct PackedShape {
  int head_dim, group_size, kv_heads, batch, tokens, tail;
};

std::vector<int32_t> shuffled(int count, int first) {
  std::vector<int32_t> pages(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) pages[static_cast<size_t>(i)] = first + i;
  std::mt19937 engine(3);
  std::shuffle(pages.begin(), pages.end(), engine);
  return pages;
}

void bench_packed(Bench& bench, const PackedShape& s) {
  const std::string name = "decode-packed-d" + std::to_string(s.head_dim) + "-b" + std::to_string(s.batch) + "-" + std::to_string(s.tokens);
  if (!bench.wants(name)) return;
  const int segments = s.batch * s.kv_heads, per_head = s.tokens / 64, pages = per_head * segments;
  const std::string shape = "{\"headDim\":" + std::to_string(s.head_dim) + ",\"numQueryHeads\":" + std::to_string(s.group_size * s.kv_heads) +
                            ",\"numKvHeads\":" + std::to_string(s.kv_heads) + ",\"batch\":" + std::to_string(s.batch) + ",\"kvLen\":" +
                            std::to_string(s.tokens) + ",\"tail\":" + std::to_string(s.tail) + "}";
  const std::vector<int32_t> elements = shuffled(pages, 0);
  WnPageConvertParams convert{};
  convert.elements.pages = bench.random_bf16(static_cast<int64_t>(pages) * 128 * s.head_dim);
  convert.elements.positions = convert.elements.counts = static_cast<int32_t*>(bench.zeroed(int64_t{pages} * 256));
  convert.elements.log_bias = static_cast<float*>(bench.zeroed(int64_t{pages} * 256));
  convert.head_dim = convert.head_dim_v = s.head_dim;
  convert.num_jobs = pages;
  convert.source = bench.upload(elements);
  const auto* q = bench.random_bf16(static_cast<int64_t>(s.batch) * s.group_size * s.kv_heads * s.head_dim);
  const auto* lens = bench.upload(std::vector<int32_t>(static_cast<size_t>(segments), s.tokens));
  void* out = bench.zeroed(static_cast<int64_t>(s.batch) * s.group_size * s.kv_heads * s.head_dim * 2);
  const float scale = 1 / std::sqrt(static_cast<float>(s.head_dim));

  std::vector<Job> rivals;
  WnDecodeAttentionParams whole{};
  whole.q = q;
  whole.pages = convert.elements.pages;
  whole.page_table = convert.source;
  whole.kv_lens = lens;
  whole.out = out;
  whole.batch = s.batch;
  whole.num_query_heads = s.group_size * s.kv_heads;
  whole.num_kv_heads = s.kv_heads;
  whole.head_dim = s.head_dim;
  whole.num_pages = pages;
  whole.page_table_stride = per_head;
  whole.softmax_scale = scale;
  whole.workspace_bytes = wn_decode_attention_workspace_bytes(&whole);
  whole.workspace = bench.zeroed(whole.workspace_bytes);
  rivals.push_back({name + "-bf16", "winnow", shape, 0, static_cast<double>(pages) * 256 * s.head_dim, 4, "inputs exceed the L2",
                    [=](int, cudaStream_t stream) { return wn_decode_attention(&whole, stream); }});
  for (int bits : {8, 4, 2}) {
    const WnPlaneFormat keys{bits, 32, 0}, values{bits, 32, 1};
    const int64_t bytes = packed_places(keys, values, s.head_dim, s.head_dim).bytes;
    WnPageFormat format{bench.zeroed(bytes * pages), static_cast<int32_t*>(bench.zeroed(int64_t{pages} * 256)),
                        static_cast<int32_t*>(bench.zeroed(int64_t{pages} * 256)), static_cast<float*>(bench.zeroed(int64_t{pages} * 256)),
                        {keys, values}};
    static_assert(sizeof format % 4 == 0);
    std::vector<int32_t> words(sizeof format / 4);
    std::memcpy(words.data(), &format, sizeof format);
    WnPageConvertParams pack = convert;
    pack.formats = reinterpret_cast<const WnPageFormat*>(bench.upload(words));
    std::vector<int32_t> table = shuffled(pages, 0);
    for (int32_t& page : table) page = packed_entry(0, pages - 1 - page);
    pack.target = bench.upload(table);
    bench.run({name + "-pack-" + std::to_string(bits), "winnow", shape, 0, static_cast<double>(pages) * (256 * s.head_dim + bytes), 1,
               "inputs exceed the L2", [=](int, cudaStream_t stream) { return wn_page_convert(&pack, stream); }});
    wn_page_convert(&pack, nullptr);
    WnPageConvertParams unpack = pack;
    std::swap(unpack.source, unpack.target);
    bench.run({name + "-unpack-" + std::to_string(bits), "winnow", shape, 0, static_cast<double>(pages) * (256 * s.head_dim + bytes), 1,
               "inputs exceed the L2", [=](int, cudaStream_t stream) { return wn_page_convert(&unpack, stream); }});
    for (int segment = 0; segment < segments; segment++)
      for (int i = per_head - s.tail; i < per_head; i++)
        table[static_cast<size_t>(segment * per_head + i)] = elements[static_cast<size_t>(segment * per_head + i)];
    WnDecodePackedParams p{};
    p.q = q;
    p.cache.pages = convert.elements.pages;
    p.cache.page_table = bench.upload(table);
    p.cache.kv_lens = lens;
    p.cache.rows = s.batch;
    p.cache.num_kv_heads = s.kv_heads;
    p.cache.head_dim = s.head_dim;
    p.cache.page_table_stride = per_head;
    p.format = format;
    p.out = out;
    p.num_query_heads = s.group_size * s.kv_heads;
    p.softmax_scale = scale;
    p.workspace_bytes = wn_decode_packed_workspace_bytes(&p);
    p.workspace = bench.zeroed(p.workspace_bytes);
    const double tail = static_cast<double>(s.tail) * segments;
    rivals.push_back({name + "-" + std::to_string(bits), "winnow", shape, 0, (pages - tail) * bytes + tail * 256 * s.head_dim, 4,
                      "inputs exceed the L2", [=](int, cudaStream_t stream) { return wn_decode_packed(&p, stream); }});
  }
  bench.run(rivals);
  bench.release();
}

}  // namespace

void bench_packed_caches(Bench& bench) {
  bench_packed(bench, {128, 4, 8, 1, 131072, 0});
  bench_packed(bench, {128, 4, 8, 1, 131008, 3});
  bench_packed(bench, {128, 4, 8, 1, 32768, 3});
  bench_packed(bench, {128, 4, 8, 16, 8192, 3});
  bench_packed(bench, {64, 4, 8, 1, 131072, 3});
}

}  // namespace winnow::bench
