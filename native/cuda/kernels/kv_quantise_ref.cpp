#include <algorithm>
#include <cmath>
#include <cstring>

#include "quantised_page.h"
#include "reference.h"

namespace winnow {

uint16_t to_half(double x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double magnitude = std::fabs(x);
  if (magnitude == 0) return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int unit = std::max(exponent - 11, -24);
  const double steps = std::nearbyint(std::ldexp(magnitude, -unit));
  // Subnormals have unit -24; a carry into the next binade is right because the encodings are consecutive.
  if (unit == -24) return sign | static_cast<uint16_t>(steps);
  return static_cast<uint16_t>(sign | (((unit + 24) << 10) + static_cast<int>(steps)));
}

void kv_quantise_ref(const WnKvQuantiseParams& p, uint8_t* quantised) {
  const int head_dim = p.head_dim;
  for (int job = 0; job < p.num_jobs; job++) {
    uint8_t* target = quantised + p.target_pages[job] * quantised_page_bytes(head_dim);
    std::memset(target, 0, quantised_page_bytes(head_dim));
    auto element = [&](bool is_value, int token, int d) {
      return bf16_value(p.pages, (int64_t{p.source_pages[job]} * 128 + (is_value ? 64 : 0) + token) * head_dim + d);
    };
    auto quantise = [&](bool is_value, int token0, int tokens, int d0, int channels, int index) {
      double low = INFINITY, high = -INFINITY;
      for (int i = 0; i < tokens * channels; i++) {
        const double x = element(is_value, token0 + i / channels, d0 + i % channels);
        low = std::fmin(low, x);
        high = std::fmax(high, x);
      }
      const uint16_t bits[2] = {to_half(static_cast<float>(high - low) / 15.0f), to_half(low)};
      const int at = is_value ? quantised_value_params(head_dim) : quantised_key_params(head_dim);
      std::memcpy(target + at + 4 * index, bits, 4);
      const double scale = half_value(bits[0]), base = half_value(bits[1]);
      for (int i = 0; i < tokens * channels; i++) {
        const int token = token0 + i / channels, d = d0 + i % channels;
        const double steps = scale == 0 ? 0 : std::nearbyint((element(is_value, token, d) - base) / scale);
        const int code = static_cast<int>(std::clamp(steps, 0.0, 15.0));
        target[(is_value ? quantised_value_codes(head_dim) : 0) + token * (head_dim / 2) + d / 2] |=
            static_cast<uint8_t>(d % 2 ? code << 4 : code);
      }
    };
    for (int group = 0; group < 2; group++)
      for (int d = 0; d < head_dim; d++) quantise(false, 32 * group, 32, d, 1, group * head_dim + d);
    for (int token = 0; token < 64; token++)
      for (int group = 0; group < head_dim / 32; group++)
        quantise(true, token, 1, 32 * group, 32, token * (head_dim / 32) + group);
  }
}

}  // namespace winnow
