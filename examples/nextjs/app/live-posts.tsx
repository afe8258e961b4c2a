"use client";
import { useLivePage } from "tidings/client/react";

export const LivePosts = ({ html }: { html: string }) => <main {...useLivePage({ html }).props} />;
