// SPDX-License-Identifier: Apache-2.0
#include "framework/config/decimal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace triptych::config {
namespace {

constexpr std::size_t kPrecision = 28;

/// a + b of equal length, most significant first.
std::vector<int> add(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> sum(a.size() + 1);
  int carry = 0;
  for (std::size_t i = a.size(); i-- > 0;) {
    const int digit = a[i] + b[i] + carry;
    sum[i + 1] = digit % 10;
    carry = digit / 10;
  }
  sum[0] = carry;
  return sum;
}

/// a - b of equal length, for a >= b.
std::vector<int> subtract(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> difference(a.size());
  int borrow = 0;
  for (std::size_t i = a.size(); i-- > 0;) {
    const int digit = a[i] - b[i] - borrow;
    borrow = digit < 0 ? 1 : 0;
    difference[i] = digit + 10 * borrow;
  }
  return difference;
}

}  // namespace

Decimal::Decimal(double value) {
  // 770 digits hold any double exactly.
  char buffer[800];
  std::snprintf(buffer, sizeof buffer, "%.770e", value);
  const std::string text = buffer;
  const std::size_t e = text.find('e');
  negative_ = text[0] == '-';
  int point = 0;
  bool fraction = false;
  for (std::size_t i = negative_ ? 1 : 0; i < e; ++i) {
    if (text[i] == '.') {
      fraction = true;
      continue;
    }
    digits_.push_back(text[i] - '0');
    if (fraction) ++point;
  }
  exponent_ = std::atoi(text.c_str() + e + 1) - point;
  normalise();
}

void Decimal::normalise() {
  while (!digits_.empty() && digits_.back() == 0) {
    digits_.pop_back();
    ++exponent_;
  }
  digits_.erase(digits_.begin(),
                std::find_if(digits_.begin(), digits_.end(), [](int d) { return d != 0; }));
  if (digits_.empty()) {
    exponent_ = 0;
    negative_ = false;
  }
}

void Decimal::round() {
  if (digits_.size() <= kPrecision) return;
  const std::size_t dropped = digits_.size() - kPrecision;
  const int first = digits_[kPrecision];
  const bool more =
      std::any_of(digits_.begin() + kPrecision + 1, digits_.end(), [](int d) { return d != 0; });
  digits_.resize(kPrecision);
  exponent_ += static_cast<int>(dropped);
  if (first > 5 || (first == 5 && (more || digits_.back() % 2 == 1))) {
    std::vector<int> one(kPrecision);
    one.back() = 1;
    digits_ = add(digits_, one);
  }
  normalise();
}

std::vector<int> Decimal::shifted(const Decimal& value, int exponent) {
  std::vector<int> digits = value.digits_;
  digits.resize(digits.size() + static_cast<std::size_t>(value.exponent_ - exponent));
  return digits;
}

int Decimal::compare(const std::vector<int>& a, const std::vector<int>& b) {
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin());
  return x == a.end() ? 0 : *x - *y;
}

Decimal Decimal::operator+(const Decimal& other) const {
  if (digits_.empty() || other.digits_.empty()) {
    Decimal sum = digits_.empty() ? other : *this;
    sum.round();
    return sum;
  }
  Decimal sum;
  sum.exponent_ = std::min(exponent_, other.exponent_);
  std::vector<int> a = shifted(*this, sum.exponent_);
  std::vector<int> b = shifted(other, sum.exponent_);
  const std::size_t length = std::max(a.size(), b.size());
  a.insert(a.begin(), length - a.size(), 0);
  b.insert(b.begin(), length - b.size(), 0);
  sum.negative_ = negative_;
  if (negative_ == other.negative_) {
    sum.digits_ = add(a, b);
  } else if (compare(a, b) >= 0) {
    sum.digits_ = subtract(a, b);
  } else {
    sum.digits_ = subtract(b, a);
    sum.negative_ = other.negative_;
  }
  sum.normalise();
  sum.round();
  return sum;
}

bool Decimal::operator<(const Decimal& other) const {
  if (negative_ != other.negative_) return negative_;
  const int exponent = std::min(exponent_, other.exponent_);
  std::vector<int> a = shifted(*this, exponent);
  std::vector<int> b = shifted(other, exponent);
  const std::size_t length = std::max(a.size(), b.size());
  a.insert(a.begin(), length - a.size(), 0);
  b.insert(b.begin(), length - b.size(), 0);
  return negative_ ? compare(b, a) < 0 : compare(a, b) < 0;
}

double Decimal::to_double() const {
  if (digits_.empty()) return 0.0;
  std::string text = negative_ ? "-" : "";
  for (const int digit : digits_) text += static_cast<char>('0' + digit);
  text += "e" + std::to_string(exponent_);
  return std::strtod(text.c_str(), nullptr);
}

}  // namespace triptych::config
