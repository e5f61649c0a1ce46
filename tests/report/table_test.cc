// SPDX-License-Identifier: Apache-2.0
#include "framework/report/table.h"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace triptych {
namespace {

Table sample() {
  Table table({"method", "Körper", "voxels"}, 2);
  table.add_row({"soft-3", 0.8125, std::int64_t{1200}});
  table.add_row({"majority|9, \"x\"", std::nan(""), std::monostate{}});
  return table;
}

TEST(Table, TextIsAlignedWithNumbersToTheRight) {
  EXPECT_EQ(sample().text(),
            "method           Körper  voxels\n"
            "-------------------------------\n"
            "soft-3             0.81    1200\n"
            "majority|9, \"x\"     nan       -\n");
}

TEST(Table, MarkdownEscapesPipes) {
  EXPECT_EQ(sample().markdown(),
            "| method | Körper | voxels |\n"
            "| --- | ---: | ---: |\n"
            "| soft-3 | 0.81 | 1200 |\n"
            "| majority\\|9, \"x\" | nan | - |\n");
}

TEST(Table, CsvKeepsEveryDigitAndQuotes) {
  EXPECT_EQ(sample().csv(),
            "method,Körper,voxels\nsoft-3,0.8125,1200\n\"majority|9, \"\"x\"\"\",nan,\n");
}

TEST(Table, JsonIsAnArrayOfObjects) {
  const auto rows = nlohmann::json::parse(sample().json());
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["Körper"], 0.8125);
  EXPECT_EQ(rows[0]["voxels"], 1200);
  EXPECT_EQ(rows[1]["Körper"], "NaN");
  EXPECT_TRUE(rows[1]["voxels"].is_null());
}

TEST(Table, ColumnOfWordsStaysLeft) {
  Table table({"a", "b"});
  table.add_row({"x", 1.0});
  table.add_row({2.0, std::monostate{}});
  EXPECT_FALSE(table.is_numeric(0));
  EXPECT_TRUE(table.is_numeric(1));
}

TEST(Table, WithoutRowsIsAHeader) {
  const Table table({"a", "b"});
  EXPECT_EQ(table.text(), "a  b\n----\n");
  EXPECT_EQ(nlohmann::json::parse(table.json()).size(), 0u);
}

TEST(Table, ColumnsHaveTheirOwnDecimals) {
  Table table({"iou", "mm"}, 4);
  table.set_decimals(1, 1);
  table.add_row({0.5, 2.04});
  EXPECT_EQ(table.shown(0, 0), "0.5000");
  EXPECT_EQ(table.shown(0, 1), "2.0");
}

}  // namespace
}  // namespace triptych
