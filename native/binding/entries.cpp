#include <algorithm>
#include <cmath>
#include <cstring>

#include "caches.h"

/// Entries of planes with room to grow, and edits of lists by number.
namespace winnow {

namespace {

/// A new tensor of the dims of x.
TensorId MakeLike(Call& call, DType dtype, const Tensor& x, Tensor* out) {
  TensorId id = 0;
  call.Check(call.runtime.tensors.Make(dtype, x.dims.data(), x.rank, &id));
  const Tensor* made = nullptr;
  call.Check(call.runtime.tensors.Get(id, call.name, &made));
  *out = *made;
  return id;
}

/// Scores with "no slot" at listed entries.
napi_value Mask(Call& call) {
  const Tensor scores = call.TensorOf(0, "scores", DType::kF32, {-1, -1, -1});
  const Tensor values = call.TensorOf(1, "values", DType::kI32, {scores.dim(0), scores.dim(1), -1});
  const Tensor lens = call.TensorOf(2, "lens", DType::kI32, {scores.dim(0), scores.dim(1)});
  Tensor out;
  const TensorId id = MakeLike(call, DType::kF32, scores, &out);
  std::memcpy(out.data, scores.data, scores.bytes());
  for (int64_t list = 0; list < scores.dim(0) * scores.dim(1); list++) {
    float* line = out.as<float>() + list * scores.dim(2);
    const int32_t len = lens.as<int32_t>()[list];
    if (len > values.dim(2)) call.Refuse("lens", "at most " + std::to_string(values.dim(2)), std::to_string(len));
    if (len < 0) std::fill(line, line + scores.dim(2), -INFINITY);
    for (int32_t i = 0; i < len; i++) {
      const int32_t entry = values.as<int32_t>()[list * values.dim(2) + i];
      if (entry < 0 || entry >= scores.dim(2)) call.Refuse("values", "entries below " + std::to_string(scores.dim(2)), std::to_string(entry));
      line[entry] = -INFINITY;
    }
  }
  return call.Value(id);
}

/// The entries in use of a plane of width 1, as lists that end with "no slot".
napi_value Entries(Call& call) {
  const Tensor plane = call.AnyTensor(0, "plane");
  const bool is_float = plane.dtype == DType::kF32;
  if ((!is_float && plane.dtype != DType::kI32) || plane.rank != 4 || plane.dim(3) != 1) {
    call.Refuse("plane", "f32 or i32 [rows, heads, capacity, 1]", Describe(plane));
  }
  const int64_t lists = plane.dim(0) * plane.dim(1);
  const Span<const int32_t> used = call.Ints(1, "used");
  if (used.size != lists) call.Refuse("used", std::to_string(lists) + " lengths", std::to_string(used.size));
  int64_t longest = 0;
  for (int64_t list = 0; list < lists; list++) {
    if (used[list] < 0 || used[list] > plane.dim(2)) call.Refuse("used", "0 to " + std::to_string(plane.dim(2)), std::to_string(used[list]));
    longest = std::max<int64_t>(longest, used[list]);
  }
  Tensor out;
  const TensorId id = call.NewTensor(plane.dtype, {plane.dim(0), plane.dim(1), longest}, &out);
  for (int64_t list = 0; list < lists; list++) {
    std::memcpy(out.data + list * longest * 4, plane.data + list * plane.dim(2) * 4, static_cast<size_t>(used[list]) * 4);
    for (int64_t i = used[list]; i < longest; i++) {
      if (is_float) out.as<float>()[list * longest + i] = -INFINITY;
      else out.as<int32_t>()[list * longest + i] = -1;
    }
  }
  return call.Value(id);
}

napi_value AddRows(Call& call) {
  const Tensor x = call.AnyTensor(0, "x");
  if (x.dtype != DType::kI32 || x.rank < 1 || x.dim(0) < 1) call.Refuse("x", "i32 with rows", Describe(x));
  const Span<const int32_t> by = call.Ints(1, "by");
  if (by.size != x.dim(0)) call.Refuse("by", std::to_string(x.dim(0)) + " numbers", std::to_string(by.size));
  Tensor out;
  const TensorId id = MakeLike(call, DType::kI32, x, &out);
  const int64_t size = x.size() / x.dim(0);
  for (int64_t i = 0; i < x.size(); i++) out.as<int32_t>()[i] = x.as<int32_t>()[i] + by[i / size];
  return call.Value(id);
}

/// Rows of the last T entries of each list of a plane with room to grow.
napi_value WriteEntries(Call& call) {
  const Tensor source = call.AnyTensor(0, "source");
  const Tensor plane = call.AnyTensor(1, "plane");
  const Span<const int32_t> ends = call.Ints(2, "ends");
  if (source.rank != 4 || plane.rank != 4 || source.dtype != plane.dtype || source.dim(0) != plane.dim(0) ||
      source.dim(1) != plane.dim(1) || source.dim(3) != plane.dim(3)) {
    call.Refuse("source", "rows, heads, width and dtype of " + Describe(plane), Describe(source));
  }
  const int64_t lists = source.dim(0) * source.dim(1);
  if (ends.size != lists) call.Refuse("ends", std::to_string(lists) + " lengths", std::to_string(ends.size));
  const size_t width = static_cast<size_t>(source.dim(3)) * SizeOf(source.dtype);
  for (int64_t list = 0; list < lists; list++) {
    if (ends[list] < source.dim(2) || ends[list] > plane.dim(2)) {
      call.Refuse("ends", std::to_string(source.dim(2)) + " to " + std::to_string(plane.dim(2)), std::to_string(ends[list]));
    }
    std::memcpy(plane.data + (static_cast<size_t>(list * plane.dim(2)) + ends[list] - source.dim(2)) * width,
                source.data + static_cast<size_t>(list * source.dim(2)) * width, static_cast<size_t>(source.dim(2)) * width);
  }
  return call.Nothing();
}

}  // namespace

void RegisterEntries(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"maskLists", Mask}, {"readEntries", Entries}, {"addToRows", AddRows}, {"writeEntries", WriteEntries}});
}

}  // namespace winnow
