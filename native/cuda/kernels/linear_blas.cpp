#include <dlfcn.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <tuple>

#include "linear.h"

namespace winnow {
namespace {

// What is used of cublasLt.h, so that neither header nor library is needed to build. The values are part of its ABI.
using Handle = struct BlasContext*;
using Desc = struct BlasMatmulDesc*;
using Layout = struct BlasMatrixLayout*;
using Preference = struct BlasPreference*;
struct Algorithm {
  uint64_t data[8];
};
struct HeuristicResult {
  Algorithm algorithm;
  size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(HeuristicResult) == 96);
enum { kComputeF32 = 68, kTypeF32 = 0, kTypeBf16 = 14, kTranspose = 1 };
enum { kDescTransposeA = 3 };
enum { kPreferenceWorkspace = 1, kPreferenceReduction = 3, kPreferenceAlignmentA = 5, kPreferenceAlignmentD = 8 };
/// Split sums in the compute type only, or in the output where no split is made: partial sums in bf16 would be rounded.
constexpr uint32_t kReductionInComputeType = 2;
constexpr size_t kWorkspaceBytes = size_t{32} << 20;
/// What wn_linear asks of pointers; cuBLASLt takes more for granted unless told.
constexpr uint32_t kAlignmentBytes = 16;

struct Functions {
  int (*create)(Handle*);
  size_t (*version)();
  int (*desc_create)(Desc*, int compute_type, int scale_type);
  int (*desc_set)(Desc, int attribute, const void* value, size_t bytes);
  int (*layout_create)(Layout*, int type, uint64_t rows, uint64_t cols, int64_t stride);
  int (*preference_create)(Preference*);
  int (*preference_set)(Preference, int attribute, const void* value, size_t bytes);
  int (*heuristic)(Handle, Desc, Layout, Layout, Layout, Layout, Preference, int wanted, HeuristicResult*, int* found);
  int (*matmul)(Handle, Desc, const void* alpha, const void* a, Layout, const void* b, Layout, const void* beta, const void* c,
                Layout, void* d, Layout, const Algorithm*, void* workspace, size_t workspace_bytes, void* stream);
};

/// Descriptors and algorithm of one shape, kept for the life of the process.
struct Plan {
  Desc desc = nullptr;
  Layout weight = nullptr, x = nullptr, out = nullptr;
  Algorithm algorithm{};
  bool is_usable = false;
};

struct Blas {
  std::mutex lock;
  void* library = nullptr;
  Functions f{};
  Handle handle = nullptr;
  Preference preference = nullptr;
  std::map<std::tuple<int64_t, int, int, int>, Plan> plans;  ///< by tokens, rows, cols, out_type
};
Blas& blas() {
  static Blas state;
  return state;
}

WnStatus fail(int32_t code, const char* what, int error) {
  WnStatus status{};
  status.code = code;
  std::snprintf(status.message, sizeof(status.message), error ? "linear: cuBLASLt %s: error %d" : "linear: cuBLASLt %s", what, error);
  return status;
}

template <typename F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

/// Row-major out[t, r] = x[t, :] . weight[r, :] is, column-major, out^T = weight * x with the stored weight transposed.
Plan make_plan(Blas& b, const WnLinearParams& p) {
  Plan plan;
  const int transpose = kTranspose;
  const auto rows = static_cast<uint64_t>(p.rows), cols = static_cast<uint64_t>(p.cols), tokens = static_cast<uint64_t>(p.num_tokens);
  if (b.f.desc_create(&plan.desc, kComputeF32, kTypeF32) ||
      b.f.desc_set(plan.desc, kDescTransposeA, &transpose, sizeof transpose) ||
      b.f.layout_create(&plan.weight, kTypeBf16, cols, rows, p.cols) || b.f.layout_create(&plan.x, kTypeBf16, cols, tokens, p.cols) ||
      b.f.layout_create(&plan.out, p.out_type == WN_F32 ? kTypeF32 : kTypeBf16, rows, tokens, p.rows)) {
    return plan;
  }
  HeuristicResult results[8];
  int found = 0;
  if (b.f.heuristic(b.handle, plan.desc, plan.weight, plan.x, plan.out, plan.out, b.preference, 8, results, &found)) return plan;
  for (int i = 0; i < found && !plan.is_usable; i++) {
    if (results[i].state != 0 || results[i].workspace_bytes > kWorkspaceBytes) continue;
    plan.algorithm = results[i].algorithm;
    plan.is_usable = true;
  }
  return plan;
}

}  // namespace

bool has_blas() { return blas().handle != nullptr; }

WnStatus linear_blas(const WnLinearParams& p, void* stream) {
  Blas& b = blas();
  if (!b.handle) return fail(WN_UNSUPPORTED, "is not loaded", 0);
  const std::scoped_lock guard(b.lock);
  const auto key = std::tuple{p.num_tokens, p.rows, p.cols, p.out_type};
  auto known = b.plans.find(key);
  if (known == b.plans.end()) known = b.plans.emplace(key, make_plan(b, p)).first;
  const Plan& plan = known->second;
  if (!plan.is_usable) return fail(WN_UNSUPPORTED, "knows no way for this shape", 0);
  const float alpha = 1, beta = p.accumulate ? 1 : 0;
  const int error = b.f.matmul(b.handle, plan.desc, &alpha, p.weight, plan.weight, p.x, plan.x, &beta, p.out, plan.out, p.out,
                               plan.out, &plan.algorithm, p.workspace, kWorkspaceBytes, stream);
  return error ? fail(WN_CUDA, "matmul", error) : WnStatus{};
}

}  // namespace winnow

WnStatus wn_linear_load_blas(const char* path, int64_t* version) {
  using namespace winnow;
  Blas& b = blas();
  const std::scoped_lock guard(b.lock);
  if (!b.handle) {
    void* library = nullptr;
    for (const char* name : {path ? path : "libcublasLt.so.13", path ? path : "libcublasLt.so.12"})
      if (!library) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) return fail(WN_UNSUPPORTED, "was not found", 0);
    Functions& f = b.f;
    if (!(find(library, "cublasLtCreate", f.create) && find(library, "cublasLtGetVersion", f.version) &&
          find(library, "cublasLtMatmulDescCreate", f.desc_create) &&
          find(library, "cublasLtMatmulDescSetAttribute", f.desc_set) &&
          find(library, "cublasLtMatrixLayoutCreate", f.layout_create) &&
          find(library, "cublasLtMatmulPreferenceCreate", f.preference_create) &&
          find(library, "cublasLtMatmulPreferenceSetAttribute", f.preference_set) &&
          find(library, "cublasLtMatmulAlgoGetHeuristic", f.heuristic) && find(library, "cublasLtMatmul", f.matmul)))
      return fail(WN_UNSUPPORTED, "lacks a function", 0);
    if (const int error = f.preference_create(&b.preference)) return fail(WN_UNSUPPORTED, "preference", error);
    f.preference_set(b.preference, kPreferenceWorkspace, &kWorkspaceBytes, sizeof kWorkspaceBytes);
    f.preference_set(b.preference, kPreferenceReduction, &kReductionInComputeType, sizeof kReductionInComputeType);
    for (int attribute = kPreferenceAlignmentA; attribute <= kPreferenceAlignmentD; attribute++)
      f.preference_set(b.preference, attribute, &kAlignmentBytes, sizeof kAlignmentBytes);
    if (const int error = f.create(&b.handle)) {
      b.handle = nullptr;
      return fail(WN_UNSUPPORTED, "create", error);
    }
    b.library = library;
  }
  if (version) *version = static_cast<int64_t>(b.f.version());
  return WnStatus{};
}
