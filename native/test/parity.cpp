#include "parity.h"

#include <cmath>
#include <cstdio>
#include <limits>

namespace winnow::parity {

namespace {

struct Entry {
  const char* op;
  Suite suite;
};
std::vector<Entry>& Entries() {
  static std::vector<Entry> entries;
  return entries;
}

std::string Number(double x) {
  if (!std::isfinite(x)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", x);
  return text;
}

std::string Head(const Case& c) {
  return "{\"op\":\"" + c.op + "\",\"isa\":\"" + NameOf(c.isa) + "\",\"params\":\"" + c.params +
         "\",\"seed\":" + std::to_string(c.seed);
}

template <class T, class Convert>
double RelativeRmsOf(const T* actual, const double* expected, size_t n, Convert convert) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < n; i++) {
    double a = convert(actual[i]), b = expected[i];
    if (std::isfinite(a) != std::isfinite(b)) return std::numeric_limits<double>::infinity();
    if (!std::isfinite(b)) {
      if (std::isnan(a) != std::isnan(b) || (!std::isnan(b) && a != b)) return std::numeric_limits<double>::infinity();
      continue;
    }
    error += (a - b) * (a - b);
    norm += b * b;
  }
  return norm > 0 ? std::sqrt(error / norm) : std::sqrt(error);
}

}  // namespace

Registration::Registration(const char* op, Suite suite) { Entries().push_back({op, suite}); }

void Report::Check(const Case& c, double error, double bound, bool guards_intact) {
  bool ok = error <= bound && guards_intact;
  lines_.push_back(Head(c) + ",\"status\":\"" + (ok ? "ok" : "failed") + "\",\"error\":" + Number(error) +
                   ",\"bound\":" + Number(bound) + ",\"guards\":" + (guards_intact ? "true" : "false") + "}");
}

void Report::Skip(const Case& c, const std::string& reason) {
  lines_.push_back(Head(c) + ",\"status\":\"skipped\",\"reason\":\"" + reason + "\"}");
}

double RelativeRms(const float* actual, const double* expected, size_t n) {
  return RelativeRmsOf(actual, expected, n, [](float x) { return static_cast<double>(x); });
}

double RelativeRms(const Bf16* actual, const double* expected, size_t n) {
  return RelativeRmsOf(actual, expected, n, [](Bf16 x) { return static_cast<double>(FromBf16(x)); });
}

double LargestError(const float* actual, const double* expected, size_t n) {
  double largest = 0;
  for (size_t i = 0; i < n; i++) {
    double a = actual[i], b = expected[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    double d = std::fabs(a - b);
    if (!(d <= largest)) largest = std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
  }
  return largest;
}

std::vector<std::string> RunSuites(const std::string& filter) {
  Report report;
  for (const Entry& entry : Entries()) {
    if (std::string(entry.op).find(filter) != std::string::npos) entry.suite(report);
  }
  return report.lines();
}

}  // namespace winnow::parity
