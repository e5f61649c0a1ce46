// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include <gtest/gtest.h>

#include "framework/config/component.h"

namespace triptych {
namespace {

TEST(Registries, HoldNoNameTwiceAndNoBadName) {
  for (const config::AnyRegistry* registry : config::AnyRegistry::all()) {
    EXPECT_EQ(registry->duplicates(), std::vector<std::string>{}) << registry->kind();
  }
}

TEST(Registries, HoldWhatTheFrameworkPromises) {
  const auto has = [](const char* kind, const char* name) {
    const config::AnyRegistry* registry = config::AnyRegistry::of_kind(kind);
    return registry != nullptr && registry->contains(name);
  };
  EXPECT_TRUE(has("backbone", "unet"));
  EXPECT_TRUE(has("head", "segmentation"));
  EXPECT_TRUE(has("task", "segmentation"));
  EXPECT_TRUE(has("dataset", "implant_phantom"));
  EXPECT_TRUE(has("dataset", "volume_files"));
  EXPECT_TRUE(has("sharing", "hard"));
  EXPECT_TRUE(has("weighting", "fixed"));
}

TEST(Registries, ExplainEveryFieldAndShipARecipe) {
  const std::filesystem::path source = TRIPTYCH_SOURCE_DIR;
  for (const config::AnyRegistry* registry : config::AnyRegistry::all()) {
    for (const std::string& name : registry->names()) {
      for (const config::FieldInfo& field : registry->describe(name)) {
        EXPECT_FALSE(field.help.empty()) << registry->kind() << " " << name << ": " << field.name;
      }
      // Losses and transforms are elements of lists, not groups.
      if (registry->kind() == "loss" || registry->kind() == "transform") continue;
      const auto recipe = source / "experiments" / registry->kind() / (name + ".yaml");
      EXPECT_TRUE(std::filesystem::exists(recipe)) << recipe;
    }
  }
}

}  // namespace
}  // namespace triptych
