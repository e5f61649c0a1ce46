// SPDX-License-Identifier: Apache-2.0
#include "framework/core/suggest.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

TEST(EditDistance, CountsSwapsAsOne) {
  EXPECT_EQ(edit_distance("weight", "wieght"), 1);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(Nearest, OffersOnlyWhatCouldBeASlip) {
  EXPECT_EQ(nearest("wieght", {"width", "weight", "name"}), "weight");
  EXPECT_EQ(nearest("zzz", {"width", "weight"}), "");
  EXPECT_EQ(did_you_mean("lr_", {"lr"}), "; did you mean 'lr'?");
}

}  // namespace
}  // namespace triptych
