// SPDX-License-Identifier: Apache-2.0
#include "framework/data/dense.h"

#include "framework/core/error.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>

namespace triptych {
namespace {

constexpr int kMaxAxes = 6;

/// Calls `row(first_element, count, stride)` for each innermost row in row-major order.
template <class T, class Row>
void for_each_row(const at::Tensor& source, Row row) {
  const auto axes = static_cast<int>(source.dim());
  TRIPTYCH_ASSERT(axes <= kMaxAxes);
  const T* first = static_cast<const T*>(source.data_ptr());
  if (source.numel() == 0) return;
  if (axes == 0) return row(first, std::int64_t{1}, std::int64_t{1});
  std::array<std::int64_t, kMaxAxes> index{};
  const std::int64_t count = source.size(axes - 1);
  const std::int64_t stride = source.stride(axes - 1);
  const std::int64_t rows = source.numel() / count;
  for (std::int64_t i = 0; i < rows; ++i) {
    const T* start = first;
    for (int axis = 0; axis + 1 < axes; ++axis) start += index[axis] * source.stride(axis);
    row(start, count, stride);
    for (int axis = axes - 2; axis >= 0; --axis) {
      if (++index[axis] < source.size(axis)) break;
      index[axis] = 0;
    }
  }
}

template <class From, class To>
void convert(const at::Tensor& source, To* destination) {
  for_each_row<From>(source, [&](const From* row, std::int64_t count, std::int64_t stride) {
    for (std::int64_t i = 0; i < count; ++i) *destination++ = static_cast<To>(row[i * stride]);
  });
}

template <class Word>
void copy_words(const at::Tensor& source, void* destination) {
  auto* to = static_cast<Word*>(destination);
  for_each_row<Word>(source, [&](const Word* row, std::int64_t count, std::int64_t stride) {
    if (stride == 1) {
      std::memcpy(to, row, static_cast<std::size_t>(count) * sizeof(Word));
    } else {
      for (std::int64_t i = 0; i < count; ++i) to[i] = row[i * stride];
    }
    to += count;
  });
}

template <class To>
at::Tensor converted(const at::Tensor& source, at::ScalarType type) {
  at::Tensor result = at::empty(source.sizes(), source.options().dtype(type));
  To* destination = result.data_ptr<To>();
  switch (source.scalar_type()) {
    case at::kByte:
      convert<std::uint8_t>(source, destination);
      break;
    case at::kChar:
      convert<std::int8_t>(source, destination);
      break;
    case at::kShort:
      convert<std::int16_t>(source, destination);
      break;
    case at::kInt:
      convert<std::int32_t>(source, destination);
      break;
    case at::kLong:
      convert<std::int64_t>(source, destination);
      break;
    case at::kFloat:
      convert<float>(source, destination);
      break;
    case at::kDouble:
      convert<double>(source, destination);
      break;
    case at::kBool:
      convert<bool>(source, destination);
      break;
    default:
      throw shape_error("data: expected a real tensor type, got " +
                        std::string(c10::toString(source.scalar_type())));
  }
  return result;
}

}  // namespace

void copy_dense(const at::Tensor& source, void* destination) {
  if (source.is_contiguous()) {
    std::memcpy(destination, source.data_ptr(), source.nbytes());
    return;
  }
  switch (source.element_size()) {
    case 1:
      return copy_words<std::uint8_t>(source, destination);
    case 2:
      return copy_words<std::uint16_t>(source, destination);
    case 4:
      return copy_words<std::uint32_t>(source, destination);
    case 8:
      return copy_words<std::uint64_t>(source, destination);
    default:
      throw shape_error("data: expected elements of 1, 2, 4 or 8 bytes");
  }
}

at::Tensor dense(const at::Tensor& source) {
  if (source.is_contiguous()) return source;
  at::Tensor result = at::empty(source.sizes(), source.options());
  copy_dense(source, result.data_ptr());
  return result;
}

at::Tensor dense_float(const at::Tensor& source) {
  return source.scalar_type() == at::kFloat ? dense(source) : converted<float>(source, at::kFloat);
}

at::Tensor dense_int64(const at::Tensor& source) {
  return source.scalar_type() == at::kLong ? dense(source)
                                           : converted<std::int64_t>(source, at::kLong);
}

}  // namespace triptych
