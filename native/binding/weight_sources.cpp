#include "weight_sources.h"

namespace winnow {

namespace {

double Property(Call& call, napi_value object, const char* key) {
  napi_value value;
  double x = 0;
  if (napi_get_named_property(call.env, object, key, &value) != napi_ok || napi_get_value_double(call.env, value, &x) != napi_ok ||
      !(x >= 0 && x <= 9007199254740992.0) || x != static_cast<double>(static_cast<int64_t>(x))) {
    call.Refuse("sources", std::string("a whole number >= 0 in ") + key, std::to_string(x));
  }
  return x;
}

/// Bytes from `offset` of a Uint8Array, as a source of unknown shape.
WeightSource Region(Call& call, napi_value array, double offset, const std::string& type_name) {
  napi_typedarray_type kind;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(call.env, array, &kind, &length, &data, nullptr, nullptr) != napi_ok || kind != napi_uint8_array) {
    call.Refuse("bytes", "a Uint8Array", "a value of another type");
  }
  if (!(offset >= 0 && offset <= static_cast<double>(length))) {
    call.Refuse("byteOffset", "an offset in [0, " + std::to_string(length) + "]", std::to_string(offset));
  }
  WeightSource source{};
  if (!WeightTypeFromName(type_name.c_str(), &source.type)) {
    call.Check(Status::Fail(Code::kUnsupported, std::string(call.name) + ".type", WeightTypeNames(), type_name));
  }
  source.bytes = static_cast<const std::byte*>(data) + static_cast<size_t>(offset);
  source.num_bytes = static_cast<int64_t>(length) - static_cast<int64_t>(offset);
  return source;
}

}  // namespace

std::vector<WeightSource> ReadSources(Call& call, int i) {
  uint32_t count = 0;
  if (static_cast<size_t>(i) >= call.count || napi_get_array_length(call.env, call.arguments[i], &count) != napi_ok) {
    call.Refuse("sources", "an array of sources", "a value of another type");
  }
  std::vector<WeightSource> sources;
  for (uint32_t k = 0; k < count; k++) {
    napi_value object, bytes, type;
    napi_get_element(call.env, call.arguments[i], k, &object);
    size_t length = 0;
    char name[16] = {};
    if (napi_get_named_property(call.env, object, "bytes", &bytes) != napi_ok ||
        napi_get_named_property(call.env, object, "type", &type) != napi_ok ||
        napi_get_value_string_utf8(call.env, type, name, sizeof name, &length) != napi_ok) {
      call.Refuse("sources", "objects with bytes and type", "another value at " + std::to_string(k));
    }
    WeightSource source = Region(call, bytes, Property(call, object, "byteOffset"), name);
    source.rows = static_cast<int64_t>(Property(call, object, "rows"));
    source.cols = static_cast<int64_t>(Property(call, object, "cols"));
    source.interleaved_heads = static_cast<int64_t>(Property(call, object, "interleavedHeads"));
    sources.push_back(source);
  }
  return sources;
}

WeightSource ReadVectorSource(Call& call) {
  if (call.count < 4) call.Refuse("bytes", "4 arguments", std::to_string(call.count));
  WeightSource source = Region(call, call.arguments[0], call.Number(1, "byteOffset"), call.String(2, "type"));
  source.rows = 1;
  source.cols = call.Int(3, "length", 1, 1 << 28);
  return source;
}

}  // namespace winnow
