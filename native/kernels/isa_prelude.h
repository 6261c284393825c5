#pragma once

// Headers that every file compiled per instruction set reads; precompiled once for each.
#if defined(WINNOW_ISA_AVX512) || defined(WINNOW_ISA_AVX2)
#include <immintrin.h>
#endif

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>
