// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace triptych::config {

/// Decimal number of 28 significant digits, as Python's decimal module computes by default.
///
/// Ranges of floats step in it: `range(0.1,0.5,0.1)` then gives the very values that Hydra gives.
class Decimal {
 public:
  /// Exact value of a finite double.
  explicit Decimal(double value);

  /// Sum, rounded half to even to 28 digits.
  Decimal operator+(const Decimal& other) const;
  bool operator<(const Decimal& other) const;
  double to_double() const;

 private:
  Decimal() = default;
  /// Digits of `value * 10^-exponent`, most significant first.
  static std::vector<int> shifted(const Decimal& value, int exponent);
  static int compare(const std::vector<int>& a, const std::vector<int>& b);
  void normalise();
  void round();

  bool negative_ = false;
  std::vector<int> digits_;  ///< most significant first, no leading zeros; empty is zero
  int exponent_ = 0;         ///< power of ten of the last digit
};

}  // namespace triptych::config
