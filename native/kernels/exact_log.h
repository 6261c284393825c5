#pragma once

namespace winnow {

/// Natural logarithm from basic operations only: the same bits on every machine and instruction set. x finite, > 0.
/// Error below 1 ulp.
float ExactLog(float x);

}  // namespace winnow
