#pragma once

#include <node_api.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "../kernels/status.h"
#include "../kernels/tensor.h"
#include "runtime.h"

/// The seam between JavaScript and kernels: reads and checks positional arguments, throws WinnowError, counts time.
///
///   static napi_value Argmax(Call& call) {
///     Tensor logits = call.TensorOf(0, "logits", DType::kF32, {-1, -1}), out = call.TensorOf(1, "out", DType::kI32, {logits.dim(0)});
///     call.Check(winnow::Argmax(call.runtime.context, {...}));
///     return call.Nothing();
///   }
///   void init_x(napi_env env, napi_value exports, Runtime& runtime) { Register(env, exports, runtime, {{"argmax", Argmax}}); }
namespace winnow {

/// Thrown inside binding files only; kernels return Status.
struct CallFailure {
  Status status;
};

template <class T>
struct Span {
  T* data = nullptr;
  int64_t size = 0;
  T& operator[](int64_t i) const { return data[i]; }
};

class Call {
 public:
  static constexpr int kMaxArguments = 20;
  Call(napi_env env, const char* name, Runtime& runtime) : env(env), name(name), runtime(runtime) {}

  napi_env env;
  const char* name;
  Runtime& runtime;
  napi_value arguments[kMaxArguments];
  size_t count = 0;
  /// Arguments of a replayed call (binding/replay.cpp), else null: numbers and ids as they are, an Int32Array as an offset
  /// in `lists`, where its length and its elements stand.
  const double* numbers = nullptr;
  Span<const int32_t> lists;

  double Number(int i, const char* what) const;
  /// A whole number in [least, most].
  int64_t Int(int i, const char* what, int64_t least, int64_t most) const;
  bool Flag(int i, const char* what) const { return Int(i, what, 0, 1) == 1; }
  std::string String(int i, const char* what) const;
  /// Elements of an Int32Array; valid during the call.
  Span<const int32_t> Ints(int i, const char* what) const;
  Span<const uint8_t> Bytes(int i, const char* what) const;
  Span<const double> Doubles(int i, const char* what) const;

  /// An id, not looked at (0 = not given).
  TensorId Id(int i, const char* what) const;
  bool Given(int i, const char* what) const { return Id(i, what) != 0; }
  /// Any tensor; a copy of its descriptor.
  Tensor AnyTensor(int i, const char* what) const;
  /// dtype and dims as given; a dim of -1 is free.
  Tensor TensorOf(int i, const char* what, DType dtype, std::initializer_list<int64_t> dims) const;
  /// Same, or an empty tensor (data null) where the id is 0.
  Tensor OptionalTensor(int i, const char* what, DType dtype, std::initializer_list<int64_t> dims) const;
  /// f32 or bf16 of these dims.
  Tensor FloatTensor(int i, const char* what, std::initializer_list<int64_t> dims) const;
  /// A new zero-filled result tensor.
  TensorId NewTensor(DType dtype, std::initializer_list<int64_t> dims, Tensor* out) const;

  /// Throws the failure, if any.
  void Check(Status status) const;
  /// Throws ERR_SHAPE at "name.what".
  [[noreturn]] void Refuse(const char* what, std::string expected, std::string actual) const;

  napi_value Nothing() const { return nullptr; }
  napi_value Value(double x) const;
  napi_value Text(const std::string& s) const;

 private:
  std::string Where(const char* what) const { return std::string(name) + "." + what; }
};

using Function = napi_value (*)(Call&);
struct Export {
  const char* name;
  Function run;
};
void Register(napi_env env, napi_value exports, Runtime& runtime, std::initializer_list<Export> list);
/// Names of the ops that a program may hold; the place is the op's code (addon-types.ts).
constexpr const char* kReplayedOps[] = {"embed",           "rmsNorm",    "rmsNormAdd", "linear",       "linearGated",
                                        "gatedActivation", "ropeAppend", "copyRows",   "attendDecode", "softCap"};
constexpr int kNumReplayedOps = static_cast<int>(sizeof(kReplayedOps) / sizeof(kReplayedOps[0]));

// One per group of functions; each lives in binding/<group>.cpp.
void init_facts(napi_env env, napi_value exports, Runtime& runtime);      ///< cpuFacts, configure, memory, bench*, parity, …
void init_tensors(napi_env env, napi_value exports, Runtime& runtime);    ///< tensor, slice, …, then RegisterTransfers
void RegisterTransfers(napi_env env, napi_value exports, Runtime& runtime);  ///< upload, download, copyRows: each backend its own
void init_dense(napi_env env, napi_value exports, Runtime& runtime);      ///< packWeight … argmax, except ropeAppend
void init_cache(napi_env env, napi_value exports, Runtime& runtime);      ///< cache*, ropeAppend (Rope() of kernels/rope.h, then append)
void init_attention(napi_env env, napi_value exports, Runtime& runtime);  ///< attendPrefill, attendDecode, mergeLse
void init_replay(napi_env env, napi_value exports, Runtime& runtime);     ///< replay
void init_scores(napi_env env, napi_value exports, Runtime& runtime);     ///< windowScores … reduceHeads, quantiseRoundTrip

}  // namespace winnow
