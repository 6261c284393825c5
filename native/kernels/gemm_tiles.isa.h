#pragma once

#include "gemm.h"
#include "gemm_finish.isa.h"

/// The tile product over any implementation of the eight tile registers. For files compiled per instruction set.
///
/// Tiles offers, for tile numbers 0 to 7: Begin(), End(), Zero<t>(), Load<t>(from, stride in bytes), Store<t>(to, stride)
/// and Multiply<c, a, b>(): c[m][n] += sum over pairs of a[m] with b[.][n]. Tiles 0-3 are sums, 4 and 5 hold rows of
/// activations, 6 and 7 columns of weights.
namespace winnow::WINNOW_ISA {
namespace {

constexpr int kTileRows = 16;

/// R x C tiles of results (16 rows x 16 columns each).
template <class Tiles, int R, int C>
void TileBlock(const uint16_t* a, int64_t lda, int64_t rows, const uint16_t* b, int64_t ldb, int64_t pairs, int64_t row, int group,
               const Epilogue& e) {
  // The last rows: copied, so that no tile reads past the end.
  alignas(64) uint16_t padded[kTileRows][2 * kTilePairs] = {};
  int64_t left = rows - (R - 1) * kTileRows;
  bool whole = left >= kTileRows;
  Tiles::template Zero<0>();
  if constexpr (C > 1) Tiles::template Zero<1>();
  if constexpr (R > 1) Tiles::template Zero<2>();
  if constexpr (R > 1 && C > 1) Tiles::template Zero<3>();
  for (int64_t t = 0; t < pairs; t += kTilePairs) {
    const uint16_t* last = a + (R - 1) * kTileRows * lda + 2 * t;
    if (!whole) {
      for (int64_t i = 0; i < left; i++) std::memcpy(padded[i], last + i * lda, sizeof padded[i]);
    }
    const uint16_t* from = whole ? last : &padded[0][0];
    int64_t stride = whole ? 2 * lda : static_cast<int64_t>(sizeof padded[0]);
    if constexpr (R > 1) {
      Tiles::template Load<4>(a + 2 * t, 2 * lda);
      Tiles::template Load<5>(from, stride);
    } else {
      Tiles::template Load<4>(from, stride);
    }
    Tiles::template Load<6>(b + t * ldb, 2 * ldb);
    Tiles::template Multiply<0, 4, 6>();
    if constexpr (R > 1) Tiles::template Multiply<2, 5, 6>();
    if constexpr (C > 1) {
      Tiles::template Load<7>(b + t * ldb + 2 * kLanes, 2 * ldb);
      Tiles::template Multiply<1, 4, 7>();
      if constexpr (R > 1) Tiles::template Multiply<3, 5, 7>();
    }
  }
  alignas(64) float sums[2 * kTileRows][2 * kLanes];
  constexpr int64_t kStride = sizeof sums[0];
  Tiles::template Store<0>(&sums[0][0], kStride);
  if constexpr (C > 1) Tiles::template Store<1>(&sums[0][kLanes], kStride);
  if constexpr (R > 1) Tiles::template Store<2>(&sums[kTileRows][0], kStride);
  if constexpr (R > 1 && C > 1) Tiles::template Store<3>(&sums[kTileRows][kLanes], kStride);
  for (int64_t i = 0; i < rows; i++)
    for (int j = 0; j < C; j++) Finish(e, row + i, group + j, Load(&sums[i][j * kLanes]));
}

template <class Tiles, int C>
void TileColumns(const uint16_t* a, int64_t lda, int64_t rows, const uint16_t* b, int64_t ldb, int64_t pairs, int group, const Epilogue& e) {
  for (int64_t row = 0; row < rows; row += 2 * kTileRows) {
    int64_t count = rows - row < 2 * kTileRows ? rows - row : 2 * kTileRows;
    if (count > kTileRows) {
      TileBlock<Tiles, 2, C>(a + row * lda, lda, count, b, ldb, pairs, row, group, e);
    } else {
      TileBlock<Tiles, 1, C>(a + row * lda, lda, count, b, ldb, pairs, row, group, e);
    }
  }
}

template <class Tiles>
void MultiplyTiles(const uint16_t* a, int64_t lda, int64_t rows, const uint16_t* b, int32_t groups, int64_t pairs, const Epilogue& e) {
  int64_t ldb = groups * kLanes * 2;
  Tiles::Begin();
  int group = 0;
  for (; group + 2 <= groups; group += 2) TileColumns<Tiles, 2>(a, lda, rows, b + group * kLanes * 2, ldb, pairs, group, e);
  if (group < groups) TileColumns<Tiles, 1>(a, lda, rows, b + group * kLanes * 2, ldb, pairs, group, e);
  Tiles::End();
}

}  // namespace
}  // namespace winnow::WINNOW_ISA
