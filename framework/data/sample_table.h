// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

namespace triptych {

/// Which files belong to which sample.
struct SampleTable {
  struct Row {
    std::string id;
    std::string split;                         ///< as stated by a manifest, "" when not
    std::map<std::string, std::string> files;  ///< entry -> location; a missing entry is absent
  };
  std::vector<Row> rows;  ///< sorted by id for patterns, in the file's order for manifests
  std::vector<std::string> entries;  ///< all entry names
};

/// Samples from one pattern per entry, e.g. {"image": "data/*_t1.nii.gz", "label":
/// "data/*_seg.nii.gz"}: what `*` stands for is the sample's id (several stars: what they stand
/// for, joined by '_' unless equal). A pattern may name a folder of slices (ending in '/') or an
/// HDF5 dataset (`data/*.h5:/image`). Throws data_error with one line per fault: a pattern without
/// a match, two files of one id, an id that lacks an entry not listed in `optional`.
SampleTable samples_from_patterns(const std::map<std::string, std::string>& patterns,
                                  const std::vector<std::string>& optional);

/// Samples from a manifest, YAML (a list of maps, or a map with the list under `samples`) or CSV
/// (.csv, .tsv). Keys or columns: `sample`, optionally `split`, and one for each entry; an empty
/// cell means that the sample lacks the entry. Relative paths start at the manifest. Throws
/// data_error with one line per fault.
SampleTable samples_from_manifest(const std::string& path);

/// Throws data_error with at most 20 of the faults, one a line, unless there are none.
void throw_faults(const std::string& what, const std::vector<std::string>& faults);

}  // namespace triptych
