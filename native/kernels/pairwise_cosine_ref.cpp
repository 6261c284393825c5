#include <cmath>

#include "pairwise_cosine.h"

namespace winnow {

void PairwiseCosineRef(const PairwiseCosineParams& p, double* out) {
  const int32_t heads = p.caches[0]->geometry(p.layer).num_kv_heads;
  float a[256];
  float b[256];
  for (int64_t list = 0; list < int64_t{p.rows} * heads; list++) {
    const HeadCache& head = p.caches[list / heads]->head(p.layer, static_cast<int32_t>(list % heads));
    for (int64_t i = 0; i < p.left_stride; i++) {
      for (int64_t j = 0; j < p.right_stride; j++) {
        double& cosine = out[(list * p.left_stride + i) * p.right_stride + j];
        cosine = -INFINITY;
        if (i >= p.left_lens[list] || j >= p.right_lens[list]) continue;
        const int32_t left = p.left[list * p.left_stride + i];
        const int32_t right = p.right[list * p.right_stride + j];
        ReadRows(*head.pages[left / kPageSize], p.what, left % kPageSize, 1, a, 256);
        ReadRows(*head.pages[right / kPageSize], p.what, right % kPageSize, 1, b, 256);
        double product = 0;
        double squares[2] = {0, 0};
        for (int32_t c = 0; c < head.pages[0]->dims[p.what]; c++) {
          product += static_cast<double>(a[c]) * b[c];
          squares[0] += static_cast<double>(a[c]) * a[c];
          squares[1] += static_cast<double>(b[c]) * b[c];
        }
        cosine = squares[0] == 0 || squares[1] == 0 ? 0 : product / std::sqrt(squares[0] * squares[1]);
      }
    }
  }
}

}  // namespace winnow
