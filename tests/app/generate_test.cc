// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/image/io.h"

#include "tests/app/program.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using testing::failure;
using testing::fresh_folder;
using ::testing::HasSubstr;
using testing::run_program;

TEST(Generate, WritesADataSetThatReadsBack) {
  const fs::path folder = fresh_folder("generate");
  const auto finished = run_program({"generate",
                                     "dataset.size=[16,24,24]",
                                     "dataset.train=1",
                                     "dataset.validation=1",
                                     "dataset.test=1",
                                     "output=data"},
                                    folder);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_TRUE(fs::exists(folder / "data/manifest.yaml"));
  EXPECT_THAT(failure(folder, {"generate", "output=data"}, 2), HasSubstr("not empty"));
}

TEST(Generate, WritesItemsAsTrainingDrawsThem) {
  const fs::path folder = fresh_folder("generate_drawn");
  const std::vector<std::string> words = {
      "generate",
      "dataset=random_shapes",
      "dataset.size=[1,24,24]",
      "dataset.train=2",
      "dataset.validation=1",
      "+draw.items={train: 3, validation: 1}",
      "+draw.entries={scan: image, raw: image, clean: image, metal: label}",
      "draw.transforms=[{name: ct_scan, entries: [raw, scan], output: projections, pixel_mm: 0.5, "
      "metal_count: [1,1], metal_output: [metal]}, {name: reconstruct, input: scan, target: scan, "
      "metal: li}]",
      "format=.mha"};
  const auto write = [&](const std::string& output) {
    std::vector<std::string> all = words;
    all.push_back("output=" + output);
    const auto finished = run_program(all, folder);
    EXPECT_EQ(finished.code, 0) << finished.err;
    return read_file(folder / output / "manifest.yaml");
  };
  const std::string manifest = write("data");
  EXPECT_EQ(write("again"), manifest);
  EXPECT_THAT(manifest, HasSubstr("train_0002/clean.mha"));
  EXPECT_THAT(manifest, HasSubstr("validation_0000"));
  for (const char* file : {"train_0001/scan.mha", "train_0001/clean.mha", "train_0001/metal.mha"}) {
    EXPECT_EQ(sha256_of_file(folder / "data" / file), sha256_of_file(folder / "again" / file));
    EXPECT_EQ(read_header((folder / "data" / file).string()).geometry.spacing[0], 0.5);
  }
  EXPECT_NE(sha256_of_file(folder / "data/train_0001/scan.mha"),
            sha256_of_file(folder / "data/train_0001/clean.mha"));
  EXPECT_THAT(read_file(folder / "data/dataset/generated.yaml"), HasSubstr("metal"));
  // Projections lie beside the dataset, as raw scans.
  EXPECT_THAT(manifest, Not(HasSubstr("raw")));
  const Index3 raw = read_header((folder / "data/train_0001/raw.mha").string()).geometry.shape;
  const auto read_again = run_program({"reconstruct",
                                       "input.projections=data/train_0001/raw.mha",
                                       "input.metal=data/train_0001/metal.mha",
                                       "output=scan.mha",
                                       "metal=li",
                                       "layout=sinogram",
                                       "values=line_integrals",
                                       "pixel_size_mm=0.5",
                                       fmt::format("centre={}", 0.5 * (raw[2] - 1)),
                                       fmt::format("angles=[0,{}]", 180.0 * (raw[1] - 1) / raw[1]),
                                       "size=24"},
                                      folder);
  ASSERT_EQ(read_again.code, 0) << read_again.err;
  // per_cm 0.2: a grey value of 1 is 0.2 /cm.
  EXPECT_TRUE(at::allclose(read_volume((folder / "scan.mha").string()).data,
                           read_volume((folder / "data/train_0001/scan.mha").string()).data,
                           1e-3,
                           1e-4));
}

TEST(Generate, RefusesItemsThatCannotBeDrawn) {
  const fs::path folder = fresh_folder("generate_drawn_bad");
  const auto with = [&](std::vector<std::string> words, int code) {
    words.insert(words.begin(), {"generate", "dataset=random_shapes", "output=data"});
    return failure(folder, words, code);
  };
  EXPECT_THAT(with({"+draw.items={train: 3}"}, 2), HasSubstr("expects what to write"));
  EXPECT_THAT(with({"+draw.items={train: 3}",
                    "+draw.entries={image: image}",
                    "draw.transforms=[{name: flip}]"},
                   2),
              HasSubstr("flip"));
  EXPECT_THAT(with({"+draw.items={tain: 3}", "+draw.entries={image: image}"}, 2),
              HasSubstr("got 'tain'"));
  EXPECT_THAT(with({"+draw.items={train: 3}", "+draw.entries={image: images}"}, 2),
              HasSubstr("no entry 'images'"));
}

TEST(Generate, KeepsToItsFolder) {
  const fs::path folder = fresh_folder("generate_outside");
  write_volume((folder / "a.nii.gz").string(),
               Volume{at::rand({1, 4, 4, 4}), {.shape = {4, 4, 4}}, "", {}});
  for (const char* sample : {"../../outside", ".hidden", "dataset"}) {
    write_file_atomically(folder / "m.yaml",
                          fmt::format("[{{sample: {}, split: train, image: a.nii.gz}}]", sample));
    EXPECT_THAT(failure(folder,
                        {"generate",
                         "dataset=volume_files",
                         "dataset.manifest=m.yaml",
                         "dataset.label_entries=[]",
                         "output=data/set"},
                        1),
                HasSubstr("its name cannot be that of a folder"));
  }
}

TEST(Generate, FinishesWhatAStopLeft) {
  const fs::path folder = fresh_folder("generate_stopped");
  const std::vector<std::string> words = {"generate",
                                          "dataset.size=[16,24,24]",
                                          "dataset.train=2",
                                          "dataset.validation=0",
                                          "dataset.test=0",
                                          "splits=[train]",
                                          "output=data"};
  const auto files = [&] {
    std::map<std::string, std::string> result;
    for (const auto& entry : fs::recursive_directory_iterator(folder / "data")) {
      if (entry.is_regular_file())
        result[fs::relative(entry.path(), folder).string()] = sha256_of_file(entry.path());
    }
    return result;
  };
  ASSERT_EQ(run_program(words, folder).code, 0);
  const auto whole = files();
  fs::remove(folder / "data" / "manifest.yaml");  // written last
  fs::path last;
  for (const auto& entry : fs::directory_iterator(folder / "data")) {
    if (entry.is_directory() && entry.path().filename() != "dataset") last = entry.path();
  }
  fs::remove_all(last);
  fs::create_directories(folder / "data" / ".123.sample");
  EXPECT_THAT(failure(folder, {"generate", "dataset.train=3", "output=data"}, 2),
              HasSubstr("unfinished data set of another command"));
  ASSERT_EQ(run_program(words, folder).code, 0);
  EXPECT_EQ(files(), whole);
  EXPECT_FALSE(fs::exists(folder / "data" / ".123.sample"));
}

}  // namespace
}  // namespace triptych
