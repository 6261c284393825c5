#include "call.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <new>

namespace winnow {

namespace {

struct Bound {
  Runtime* runtime;
  Export what;
};

const char* NameOf(Code code) {
  switch (code) {
    case Code::kShape: return "ERR_SHAPE";
    case Code::kUnsupported: return "ERR_UNSUPPORTED";
    case Code::kOutOfMemory: return "ERR_OUT_OF_MEMORY";
    case Code::kModelFormat: return "ERR_MODEL_FORMAT";
    default: return "ERR_INTERNAL";
  }
}

napi_value TextValue(napi_env env, const std::string& s) {
  napi_value v = nullptr;
  napi_create_string_utf8(env, s.data(), s.size(), &v);
  return v;
}

/// new WinnowError(code, where, expected, actual, fix); a plain Error with `code` before the loader gave the class.
void Throw(napi_env env, Runtime& runtime, const Status::Failure& f) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return;
  napi_value error_class = nullptr, error = nullptr;
  if (runtime.error_class != nullptr) napi_get_reference_value(env, runtime.error_class, &error_class);
  if (error_class != nullptr) {
    napi_value arguments[5] = {TextValue(env, NameOf(f.code)), TextValue(env, f.where), TextValue(env, f.expected),
                               TextValue(env, f.actual), TextValue(env, f.fix)};
    if (napi_new_instance(env, error_class, f.fix.empty() ? 4 : 5, arguments, &error) == napi_ok) {
      napi_throw(env, error);
      return;
    }
  }
  std::string message = std::string("[") + NameOf(f.code) + "] " + f.where + ": expected " + f.expected + ", got " +
                        f.actual + "." + (f.fix.empty() ? "" : " " + f.fix);
  napi_throw_error(env, NameOf(f.code), message.c_str());
}

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

napi_value Trampoline(napi_env env, napi_callback_info info) {
  int64_t start = NowNs();
  void* data = nullptr;
  napi_value arguments[Call::kMaxArguments];
  size_t count = Call::kMaxArguments;
  napi_get_cb_info(env, info, &count, arguments, nullptr, &data);
  auto* bound = static_cast<Bound*>(data);
  Call call(env, bound->what.name, *bound->runtime);
  call.count = count < Call::kMaxArguments ? count : Call::kMaxArguments;
  for (size_t i = 0; i < call.count; i++) call.arguments[i] = arguments[i];
  napi_value result = nullptr;
  try {
    result = bound->what.run(call);
  } catch (const CallFailure& failure) {
    Throw(env, *bound->runtime, *failure.status.failure());
  } catch (const std::bad_alloc&) {
    Throw(env, *bound->runtime,
          *Status::Fail(Code::kOutOfMemory, bound->what.name, "enough memory", "none", "Use a shorter context or fewer forks.")
               .failure());
  } catch (const std::exception& e) {
    Throw(env, *bound->runtime, *Status::Fail(Code::kInternal, bound->what.name, "no exception", e.what()).failure());
  }
  bound->runtime->native_nanoseconds += NowNs() - start;
  return result;
}

}  // namespace

void Register(napi_env env, napi_value exports, Runtime& runtime, std::initializer_list<Export> list) {
  for (const Export& entry : list) {
    for (int code = 0; code < kNumReplayedOps; code++) {
      if (std::strcmp(entry.name, kReplayedOps[code]) == 0) runtime.replayed[code] = entry.run;
    }
    auto* bound = new Bound{&runtime, entry};
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, Trampoline, bound, &function);
    napi_add_finalizer(env, function, bound, [](napi_env, void* p, void*) { delete static_cast<Bound*>(p); }, nullptr, nullptr);
    napi_set_named_property(env, exports, entry.name, function);
  }
}

void Call::Refuse(const char* what, std::string expected, std::string actual) const {
  throw CallFailure{Status::Shape(Where(what), std::move(expected), std::move(actual))};
}

void Call::Check(Status status) const {
  if (!status.ok()) throw CallFailure{std::move(status)};
}

double Call::Number(int i, const char* what) const {
  double x = 0;
  if (numbers != nullptr && static_cast<size_t>(i) < count) return numbers[i];
  if (static_cast<size_t>(i) >= count || napi_get_value_double(env, arguments[i], &x) != napi_ok) {
    Refuse(what, "a number", static_cast<size_t>(i) >= count ? "nothing" : "a value of another type");
  }
  return x;
}

int64_t Call::Int(int i, const char* what, int64_t least, int64_t most) const {
  double x = Number(i, what);
  if (!(x >= static_cast<double>(least) && x <= static_cast<double>(most)) || x != std::floor(x)) {
    Refuse(what, "a whole number from " + std::to_string(least) + " to " + std::to_string(most), std::to_string(x));
  }
  return static_cast<int64_t>(x);
}

std::string Call::String(int i, const char* what) const {
  size_t length = 0;
  if (static_cast<size_t>(i) >= count ||
      napi_get_value_string_utf8(env, arguments[i], nullptr, 0, &length) != napi_ok) {
    Refuse(what, "a string", "a value of another type");
  }
  std::string s(length, '\0');
  napi_get_value_string_utf8(env, arguments[i], s.data(), length + 1, &length);
  return s;
}

Span<const int32_t> Call::Ints(int i, const char* what) const {
  if (numbers != nullptr) {
    const int64_t at = Int(i, what, 0, lists.size - 1);
    if (lists[at] < 0 || lists[at] > lists.size - 1 - at) Refuse(what, "a list inside the lists of the program", std::to_string(lists[at]));
    return {lists.data + at + 1, lists[at]};
  }
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (static_cast<size_t>(i) >= count ||
      napi_get_typedarray_info(env, arguments[i], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_int32_array) {
    Refuse(what, "an Int32Array", "a value of another type");
  }
  return {static_cast<const int32_t*>(data), static_cast<int64_t>(length)};
}

Span<const uint8_t> Call::Bytes(int i, const char* what) const {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (static_cast<size_t>(i) >= count ||
      napi_get_typedarray_info(env, arguments[i], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    Refuse(what, "a Uint8Array", "a value of another type");
  }
  return {static_cast<const uint8_t*>(data), static_cast<int64_t>(length)};
}

Span<const double> Call::Doubles(int i, const char* what) const {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (static_cast<size_t>(i) >= count ||
      napi_get_typedarray_info(env, arguments[i], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array) {
    Refuse(what, "a Float64Array", "a value of another type");
  }
  return {static_cast<const double*>(data), static_cast<int64_t>(length)};
}

TensorId Call::Id(int i, const char* what) const {
  uint32_t id = 0;
  if (numbers != nullptr) return static_cast<TensorId>(Int(i, what, 0, UINT32_MAX));
  if (static_cast<size_t>(i) >= count || napi_get_value_uint32(env, arguments[i], &id) != napi_ok) {
    Refuse(what, "an id", static_cast<size_t>(i) >= count ? "nothing" : "a value of another type");
  }
  return id;
}

Tensor Call::AnyTensor(int i, const char* what) const {
  const Tensor* found = nullptr;
  TensorId id = Id(i, what);
  if (Status s = runtime.tensors.Get(id, what, &found); !s.ok()) {
    Refuse(what, s.failure()->expected, s.failure()->actual);
  }
  return *found;
}

Tensor Call::TensorOf(int i, const char* what, DType dtype, std::initializer_list<int64_t> dims) const {
  Tensor found;
  if (Status s = runtime.tensors.Expect(Id(i, what), what, dtype, dims, &found); !s.ok()) {
    Refuse(what, s.failure()->expected, s.failure()->actual);
  }
  return found;
}

Tensor Call::OptionalTensor(int i, const char* what, DType dtype, std::initializer_list<int64_t> dims) const {
  return Given(i, what) ? TensorOf(i, what, dtype, dims) : Tensor{};
}

Tensor Call::FloatTensor(int i, const char* what, std::initializer_list<int64_t> dims) const {
  Tensor any = AnyTensor(i, what);
  if (any.dtype == DType::kBf16) return TensorOf(i, what, DType::kBf16, dims);
  return TensorOf(i, what, DType::kF32, dims);
}

TensorId Call::NewTensor(DType dtype, std::initializer_list<int64_t> dims, Tensor* out) const {
  TensorId id = 0;
  Check(runtime.tensors.Make(dtype, dims, &id));
  const Tensor* made = nullptr;
  Check(runtime.tensors.Get(id, name, &made));
  *out = *made;
  return id;
}

napi_value Call::Value(double x) const {
  napi_value v = nullptr;
  napi_create_double(env, x, &v);
  return v;
}

napi_value Call::Text(const std::string& s) const { return TextValue(env, s); }

}  // namespace winnow
