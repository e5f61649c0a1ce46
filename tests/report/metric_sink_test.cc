// SPDX-License-Identifier: Apache-2.0
#include "framework/report/metric_sink.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/report/csv.h"

#include "tests/report/scratch.h"

#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace triptych {
namespace {

using testing::HasSubstr;

MetricRow train_row(std::int64_t step, double loss) {
  return {.step = step,
          .epoch = 0.25 * static_cast<double>(step),
          .values = {{"loss/train", loss}},
          .phase = "train"};
}

void append_raw(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::app) << text;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(JsonlSink, WritesOneObjectALineWithExactNumbers) {
  const ScratchFolder scratch;
  JsonlSink sink(scratch / "run/metrics.jsonl");
  sink.write(train_row(1, 0.1));
  sink.write(
      {.step = 2, .epoch = 1.0 / 3.0, .values = {{"odd \"name\"\t\xff", 1e-300}}, .phase = "val"});
  sink.flush();
  const std::string text = read_file(scratch / "run/metrics.jsonl");
  EXPECT_EQ(text.substr(0, text.find('\n')),
            R"({"step": 1, "epoch": 0.25, "phase": "train", "loss/train": 0.1})");
  const auto second = nlohmann::json::parse(text.substr(text.find('\n') + 1));
  EXPECT_EQ(second["epoch"].get<double>(), 1.0 / 3.0);
}

TEST(JsonlSink, WritesNotANumberAndInfinityAsStrings) {
  const ScratchFolder scratch;
  const double infinity = std::numeric_limits<double>::infinity();
  JsonlSink sink(scratch / "m.jsonl");
  sink.write({.step = 1,
              .values = {{"a", std::nan("")}, {"b", infinity}, {"c", -infinity}},
              .phase = "train"});
  const auto row = nlohmann::json::parse(read_file(scratch / "m.jsonl"));
  EXPECT_EQ(row["a"], "NaN");
  EXPECT_EQ(row["b"], "Infinity");
  EXPECT_EQ(row["c"], "-Infinity");
}

TEST(JsonlSink, ResumingDropsLaterRowsAndATornOne) {
  const ScratchFolder scratch;
  const auto path = scratch / "m.jsonl";
  {
    JsonlSink sink(path);
    for (int step = 1; step <= 5; ++step) sink.write(train_row(step, 1.0 / step));
  }
  const std::string whole = read_file(path);
  append_raw(path, R"({"step": 6, "epo)");
  JsonlSink sink(path, 3);
  sink.write(train_row(4, 0.25));
  sink.write(train_row(5, 0.2));
  EXPECT_EQ(read_file(path), whole);
}

TEST(JsonlSink, ResumingWithoutAFileBeginsOneAndANewRunReplacesIt) {
  const ScratchFolder scratch;
  JsonlSink(scratch / "m.jsonl", 3).write(train_row(4, 1));
  EXPECT_FALSE(read_file(scratch / "m.jsonl").empty());
  JsonlSink(scratch / "m.jsonl").flush();
  EXPECT_TRUE(read_file(scratch / "m.jsonl").empty());
}

TEST(JsonlSink, ForeignTextAmongTheRowsIsAnErrorWithItsLine) {
  const ScratchFolder scratch;
  append_raw(scratch / "m.jsonl", "{\"step\": 1}\nhello\n{\"step\": 2}\n");
  EXPECT_THAT(message_of([&] { JsonlSink(scratch / "m.jsonl", 9); }),
              HasSubstr("m.jsonl:2: expected a row of metrics"));
}

TEST(JsonlSink, RefusesAMetricNamedLikeAFixedColumn) {
  const ScratchFolder scratch;
  JsonlSink sink(scratch / "m.jsonl");
  EXPECT_THROW(sink.write({.step = 1, .values = {{"step", 1.0}}, .phase = "train"}), Error);
}

TEST(CsvSink, ColumnsMayAppearLater) {
  const ScratchFolder scratch;
  CsvSink sink(scratch / "m.csv");
  sink.write(train_row(1, 0.5));
  sink.write({.step = 2,
              .epoch = 0.5,
              .values = {{"iou, mean", 0.75}, {"loss/val", std::nan("")}},
              .phase = "val"});
  sink.write(train_row(3, 0.25));
  sink.flush();
  EXPECT_EQ(read_file(scratch / "m.csv"),
            "step,epoch,phase,loss/train,\"iou, mean\",loss/val\n"
            "1,0.25,train,0.5,,\n"
            "2,0.5,val,,0.75,nan\n"
            "3,0.75,train,0.25,,\n");
}

TEST(CsvSink, ResumingKeepsColumnsAndDropsLaterRows) {
  const ScratchFolder scratch;
  const auto path = scratch / "m.csv";
  {
    CsvSink sink(path);
    for (int step = 1; step <= 4; ++step) sink.write(train_row(step, step));
  }
  append_raw(path, "5,1.2");
  CsvSink sink(path, 2);
  sink.write(train_row(3, 9));
  EXPECT_EQ(read_file(path),
            "step,epoch,phase,loss/train\n1,0.25,train,1\n2,0.5,train,2\n3,0.75,train,9\n");
}

TEST(CsvSink, ForeignHeaderIsAnError) {
  const ScratchFolder scratch;
  append_raw(scratch / "m.csv", "a,b\n1,2\n");
  EXPECT_THAT(message_of([&] { CsvSink(scratch / "m.csv", 1); }),
              HasSubstr("m.csv:1: expected columns step"));
}

TEST(Csv, CellsSurviveTheRoundTrip) {
  const std::vector<std::string> cells = {"plain", "a,b", "say \"hi\"", "", "ä"};
  std::string line;
  for (const std::string& cell : cells) line += (line.empty() ? "" : ",") + csv_cell(cell);
  EXPECT_EQ(csv_cells(line), cells);
}

TEST(AppendFile, FullDiskIsAnErrorThatNamesTheFile) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  AppendFile file("/dev/full");
  EXPECT_THAT(message_of([&] { file.append("x"); }),
              HasSubstr("/dev/full: cannot be written: No space left"));
}

TEST(MultiSink, HandsEveryRowToAllSinks) {
  const ScratchFolder scratch;
  MultiSink sink;
  sink.add(std::make_unique<JsonlSink>(scratch / "m.jsonl"));
  sink.add(std::make_unique<CsvSink>(scratch / "m.csv"));
  sink.write(train_row(1, 2));
  sink.write_picture(1, "image/a", Picture(2, 2));
  sink.write_text(1, "config", "text");
  sink.flush();
  EXPECT_THAT(read_file(scratch / "m.jsonl"), HasSubstr("loss/train"));
  EXPECT_THAT(read_file(scratch / "m.csv"), HasSubstr("1,0.25,train,2"));
}

}  // namespace
}  // namespace triptych
