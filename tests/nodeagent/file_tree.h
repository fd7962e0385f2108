// SPDX-License-Identifier: Apache-2.0
//
// A directory of text files in place of /proc, /sys or a cgroup tree, for tests; removed at the
// end.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace longshore::nodeagent {

class FileTree {
 public:
  FileTree() {
    static int trees = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("longshore-files-" + std::to_string(::getpid()) + "-" + std::to_string(trees++));
    std::filesystem::create_directories(path_);
  }
  ~FileTree() { std::filesystem::remove_all(path_); }
  FileTree(const FileTree&) = delete;
  FileTree& operator=(const FileTree&) = delete;

  std::string path(const std::string& below = "") const { return path_.string() + below; }
  void Write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((path_ / file).parent_path());
    std::ofstream out(path_ / file);
    out << text;
    ASSERT_TRUE(out.flush().good()) << file;
  }
  void Link(const std::string& target, const std::string& link) {
    std::filesystem::create_directories((path_ / link).parent_path());
    std::filesystem::create_directory_symlink(path_ / target, path_ / link);
  }
  void Remove(const std::string& file) { std::filesystem::remove_all(path_ / file); }

 private:
  std::filesystem::path path_;
};

}  // namespace longshore::nodeagent
