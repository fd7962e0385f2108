// SPDX-License-Identifier: Apache-2.0
//
// The real Service over a cluster of five nodes, with a recorder of its calls.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "common/base/strings.h"
#include "extender/recorder.h"
#include "tests/extender/fakes.h"

namespace longshore::extender {

inline std::string WithAnnotation(std::string body, const std::string& key,
                                  const std::string& value) {
  const std::string annotations = R"("annotations":{)";
  return body.insert(body.find(annotations) + annotations.size(),
                     "\"" + key + R"(":")" + value + R"(",)");
}
inline std::string WithCap(std::string body, int most) {
  return WithAnnotation(std::move(body), "longshore.dev/max-pods-per-node", std::to_string(most));
}
// The pod mounts claims of its own namespace.
inline std::string WithClaims(std::string body, const std::vector<std::string>& claims) {
  std::string volumes;
  for (const std::string& claim : claims) {
    volumes += (volumes.empty() ? "" : ",") +
               std::string(R"({"persistentVolumeClaim":{"claimName":")") + claim + R"("}})";
  }
  const std::string spec = R"("spec":{)";
  return body.insert(body.find(spec) + spec.size(), R"("volumes":[)" + volumes + "],");
}

class RecordedCalls : public testing::Test {
 protected:
  RecordedCalls() : folder_("/tmp/longshore-replay-test-" + RandomId(8)) {
    *world_.cluster.view = placement::OneNodePerTier();
    world_.cluster.SetSource(placement::MakeSource({.node_name = "n1"}));
    StartWith({});
  }
  ~RecordedCalls() override { std::filesystem::remove_all(folder_); }

  void StartWith(RecorderOptions options) {
    service_.reset();
    recorder_.reset();
    registry_ = std::make_unique<metrics::Registry>();
    options.folder = folder_;
    recorder_ = std::make_unique<Recorder>(options, "1.2.3", *registry_);
    ASSERT_TRUE(recorder_->Start().has_value());
    service_ = std::make_unique<Service>(world_.cluster, world_.pressure, world_.sink, world_.clock,
                                         *registry_, ServiceOptions{.recorder = recorder_.get()});
  }

  std::vector<std::string> Files() {
    recorder_->Flush();
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  // Of the call just made; the folder is empty again.
  Recording Last() {
    const auto files = Files();
    EXPECT_THAT(files, testing::SizeIs(1));
    auto recording = ReadRecording(*ReadFile(files.back()));
    EXPECT_TRUE(recording.has_value()) << recording.error().message;
    for (const std::string& file : files) std::filesystem::remove(file);
    return *std::move(recording);
  }
  double Count(const std::string& metric) {
    const std::string text = registry_->Text();
    const size_t at = text.find("\n" + metric + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + metric.size() + 2));
  }
  const std::string folder_;
  World world_;
  std::unique_ptr<metrics::Registry> registry_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Service> service_;
};

}  // namespace longshore::extender
