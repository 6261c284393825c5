#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace winnow {

/// Why a call was refused; the binding turns it into the WinnowError of the same name.
enum class Code : int32_t {
  kOk,
  kShape,        ///< ERR_SHAPE: sizes, dtypes or ids that do not fit
  kUnsupported,  ///< ERR_UNSUPPORTED: valid, but not built for this machine or size
  kOutOfMemory,  ///< ERR_OUT_OF_MEMORY
  kModelFormat,  ///< ERR_MODEL_FORMAT: bytes of a checkpoint that cannot be what they claim
  kInternal      ///< ERR_INTERNAL: a bug of ours
};

/// Result of every kernel: empty when all is well, else one sentence in parts.
///
/// `if (Status s = CheckX(params); !s.ok()) return s;` is the whole pattern. A good Status is one null pointer.
class [[nodiscard]] Status {
 public:
  struct Failure {
    Code code;
    std::string where, expected, actual, fix;
  };

  Status() = default;
  static Status Fail(Code code, std::string where, std::string expected, std::string actual, std::string fix = "") {
    Status status;
    status.failure_ = std::make_unique<Failure>(
        Failure{code, std::move(where), std::move(expected), std::move(actual), std::move(fix)});
    return status;
  }
  /// The common case: sizes that do not fit.
  static Status Shape(std::string where, std::string expected, std::string actual) {
    return Fail(Code::kShape, std::move(where), std::move(expected), std::move(actual));
  }

  bool ok() const { return failure_ == nullptr; }
  Code code() const { return ok() ? Code::kOk : failure_->code; }
  const Failure* failure() const { return failure_.get(); }

 private:
  std::unique_ptr<Failure> failure_;
};

/// Returns the first failure to the caller.
#define WINNOW_TRY(expression)                                        \
  do {                                                                \
    if (::winnow::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

}  // namespace winnow
