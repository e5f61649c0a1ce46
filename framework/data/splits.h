// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <map>
#include <string>
#include <vector>

namespace triptych {

/// How samples are shared out. Always whole samples: slices of one volume are nearly copies of one
/// another, so a split by slice would test on training data.
struct SplitConfig {
  std::vector<std::string> train;
  std::vector<std::string> validation;
  std::vector<std::string> test;
  double validation_fraction = 0.0;
  double test_fraction = 0.0;
  std::int64_t folds = 0;
  std::int64_t fold = 0;
  std::int64_t seed = 0;

  void visit(auto& field) {
    field("train", train, "ids of training samples; [] = all that are in no other split");
    field("validation", validation, "ids of validation samples");
    field("test", test, "ids of test samples");
    field("validation_fraction",
          validation_fraction,
          "part of the samples drawn for validation",
          config::Between{0.0, 1.0});
    field("test_fraction",
          test_fraction,
          "part of the samples drawn for testing",
          config::Between{0.0, 1.0});
    field("folds",
          folds,
          "k of k-fold cross-validation over the samples that are not for testing; 0 = none",
          config::AtLeast{0});
    field("fold", fold, "which of the folds validates, 0 .. folds - 1", config::AtLeast{0});
    field("seed", seed, "of the drawn splits", config::AtLeast{0});
  }
  void validate(config::Problems& problems) const;
};

/// Split name -> indices of samples, ascending; "train", "validation" and "test" are always there.
using Splits = std::map<std::string, std::vector<std::size_t>>;

/// `stated` holds a split name (or "") for each id, as a manifest gives it; empty when nothing is
/// stated. Throws ConfigError for unknown ids, a sample in two splits, contradictory ways of
/// splitting, or more folds than samples.
Splits split_samples(const std::vector<std::string>& ids,
                     const std::vector<std::string>& stated,
                     const SplitConfig& config);

}  // namespace triptych
