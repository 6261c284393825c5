#include <cmath>

#include "soft_cap.h"

namespace winnow {

double SoftCapReference(double x, double cap) { return cap * std::tanh(x / cap); }

}  // namespace winnow
