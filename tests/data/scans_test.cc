// SPDX-License-Identifier: Apache-2.0
// The dataset of raw scans.
#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"
#include "framework/data/dataset.h"
#include "framework/data/scan_preparation.h"
#include "framework/ops/filtered_back_projection.h"

#include "tests/support/scan_files.h"
#include "tests/support/tensor_matchers.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::error_message;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kAngles = 24, kRows = 5, kColumns = 16;

/// A scan of noise in which every row differs: transmissions of 0.4 to 0.6.
class ScansDataset : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = fs::path(::testing::TempDir()) / fmt::format("triptych_scans_{}.h5", getpid());
    testing::ScanFile file(file_.string());
    at::manual_seed(3);
    transmission_ = at::rand({kAngles, kRows, kColumns}) * 0.2 + 0.4;
    file.dataset("/exchange/data", transmission_ * 1000.0);
    file.dataset("/exchange/data_white", at::full({2, kRows, kColumns}, 1000.0F));
    file.dataset("/exchange/data_dark", at::zeros({2, kRows, kColumns}));
    file.dataset("/exchange/theta", at::arange(kAngles, at::kDouble).mul_(180.0 / kAngles));
  }
  void TearDown() override { fs::remove(file_); }

  std::shared_ptr<Dataset> make(const std::string& keys) const {
    const std::string scan = "projections: " + file_.string();
    return DatasetRegistry::instance().create(config::parse_yaml(
        "{name: scans, centre: 7.5, scans: [{" + scan + ", rows: [0, 2]}, {" + scan +
            ", rows: [3, 4], split: validation, sample: other}]" + keys + "}",
        "scans.yaml"));
  }
  at::Tensor line_integrals(std::int64_t row) const {
    return -transmission_.narrow(1, row, 1).transpose(0, 1).log();
  }

  fs::path file_;
  at::Tensor transmission_;
};

TEST_F(ScansDataset, ListsRowsAsSamplesOfTheirSplits) {
  const auto dataset = make("");
  ASSERT_EQ(dataset->samples().size(), 2U);
  EXPECT_EQ(dataset->samples()[0].id, file_.stem().string() + "_0_2");
  EXPECT_EQ(dataset->samples()[1].id, "other");
  EXPECT_THAT(dataset->split("train"), ElementsAre(0U));
  EXPECT_THAT(dataset->split("validation"), ElementsAre(1U));
  const EntrySpec* spec = dataset->samples()[0].find("projections");
  ASSERT_NE(spec, nullptr);
  EXPECT_EQ(spec->geometry.shape, (Index3{3, kColumns, kColumns}));
  EXPECT_THAT(dataset->verify(), IsEmpty());
}

TEST_F(ScansDataset, GivesTheLineIntegralsOfARow) {
  for (const char* memory : {", memory: 1GB", ", memory: 1KB"}) {
    const auto dataset = make(memory);
    const Entry entry = dataset->read(1, "projections", {{1, 0, 0}, {1, kColumns, kColumns}});
    EXPECT_EQ(entry.kind, EntryKind::kProjections);
    EXPECT_TRUE(testing::near(entry.data[0], line_integrals(4), 1e-5)) << memory;
    ASSERT_NE(entry.scan, nullptr);
    EXPECT_EQ(entry.scan->angles_rad.size(), static_cast<std::size_t>(kAngles));
    EXPECT_EQ(entry.scan->centre_column, 7.5);
    EXPECT_EQ(entry.geometry.shape[0], 1);
    EXPECT_EQ(fbp(entry.data, *entry.scan, slice_grid_of(entry.geometry)).size(-1), kColumns);
  }
}

TEST_F(ScansDataset, PreparesAsItIsTold) {
  const auto dataset = make(", views: [0, 23, 4], columns: [2, 13], pixel_size_mm: 0.5, size: 20");
  const Entry entry = dataset->read_all(0, "projections");
  EXPECT_EQ(entry.data.sizes(), (std::vector<std::int64_t>{1, 3, 6, 12}));
  EXPECT_EQ(entry.geometry.shape, (Index3{3, 20, 20}));
  EXPECT_EQ(entry.geometry.spacing[0], 0.5);
  EXPECT_EQ(entry.scan->centre_column, 5.5);
}

TEST_F(ScansDataset, SaysWhatIsWrong) {
  EXPECT_THAT(error_message("data",
                            [&] {
                              make("")->read(0, "clean", {{0, 0, 0}, {1, 1, 1}});
                            }),
              HasSubstr("no entry 'clean'"));
  EXPECT_THAT(error_message("schema", [&] { make(", stripe_window: 8"); }), HasSubstr("odd"));
  EXPECT_THAT(error_message("usage", [&] { make(", views: [0, 24]"); }), HasSubstr("0 to 23"));
  const auto of_rows = [&](const std::string& first, const std::string& second) {
    const std::string scan = "projections: " + file_.string();
    return error_message("schema", [&] {
      DatasetRegistry::instance().create(config::parse_yaml("{name: scans, centre: 7.5, scans: [{" +
                                                                scan + first + "}, {" + scan +
                                                                second + ", split: validation}]}",
                                                            "scans.yaml"));
    });
  };
  EXPECT_THAT(of_rows(", rows: [0, 2]", ", rows: [2, 4]"), HasSubstr("not in scans[0] too"));
  EXPECT_THAT(of_rows("", ", rows: [4, 4]"), HasSubstr("not in scans[0] too"));
  EXPECT_THAT(of_rows(", rows: [2]", ", rows: [3, 4]"), HasSubstr("expects [first, last] from 0"));
  EXPECT_THAT(of_rows(", rows: [-1, 1]", ", rows: [3, 4]"), HasSubstr("from 0"));
  const auto none = [] {
    DatasetRegistry::instance().create(config::parse_yaml("{name: scans, scans: []}", "s.yaml"));
  };
  EXPECT_THAT(error_message("schema", none), HasSubstr("at least one scan"));
}

}  // namespace
}  // namespace triptych
